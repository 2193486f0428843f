"""Plays a person who chats in a terminal. usage: chat_terminal.py GPTOSS

Uses a pseudo-terminal of its own; fails with what was on the screen.
"""
import os
import pty
import re
import select
import signal
import sys
import time

PROGRAM = sys.argv[1]
screen = b""


def start(*arguments):
    global screen
    screen = b""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(PROGRAM, [PROGRAM, "chat", *arguments])
    return pid, terminal


def read(terminal, seconds):
    """Adds what the program shows within `seconds` to the screen; false at its end."""
    global screen
    ready, _, _ = select.select([terminal], [], [], seconds)
    if not ready:
        return True
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        piece = b""
    screen += piece
    return piece != b""


def expect(terminal, pattern, seconds=60):
    """Waits for a pattern and forgets the screen up to its end."""
    global screen
    deadline = time.monotonic() + seconds
    while True:
        found = re.search(pattern, screen, re.DOTALL)
        if found:
            screen = screen[found.end():]
            return found
        if time.monotonic() > deadline or not read(terminal, 0.5):
            sys.exit(f"expected {pattern!r}, the screen shows {screen!r}")


def finish(pid, terminal):
    while read(terminal, 0.1):
        pass
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"exit code {os.waitstatus_to_exitcode(status)}, the screen shows {screen!r}")


PROMPT = rb"> (\x1b\[\d*[A-Za-z]|\x1b\[\?\d+[hl]|\r)*$"

# An answer that is stopped, and one after it.
pid, terminal = start("-t", "0", "--logit-bias", "2=-inf", "--logit-bias", "6=-inf")
expect(terminal, rb"\x1b\[2mnano .* for commands")  # dimmed
expect(terminal, PROMPT)
os.write(terminal, b"Tell me a story.\r")
expect(terminal, rb"[a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+ [a-z]+")
os.write(terminal, b"\x03")
expect(terminal, rb"\(stopped\)")
expect(terminal, PROMPT)
os.write(terminal, b"/stats\r")
expect(terminal, rb"last answer: \d+ tokens")
# Ctrl-C at the prompt does not leave either.
expect(terminal, PROMPT)
os.write(terminal, b"half a line\x03")
expect(terminal, rb"Ctrl-D or /exit to leave")
expect(terminal, PROMPT)
os.write(terminal, b"\x04")
finish(pid, terminal)

# Several lines, and the history of the first chat.
pid, terminal = start("-t", "0")
expect(terminal, PROMPT)
os.write(terminal, b"\x1b[A\x1b[A")  # the line before /stats
expect(terminal, rb"Tell me a story\.")
os.write(terminal, b"\x15What is\\\r2 plus 3?\r")
expect(terminal, rb"\r\n[^>\r\n]*5[^>\r\n]*\r\n")
expect(terminal, PROMPT)
os.write(terminal, b'"""\rWhat is\r4 plus 4?\r"""\r')
expect(terminal, rb"\r\n[^>\r\n]*8[^>\r\n]*\r\n")
expect(terminal, PROMPT)
os.write(terminal, b"/exit\r")
finish(pid, terminal)

# A signal from outside while idle is like Ctrl-C: the program stays.
pid, terminal = start()
expect(terminal, PROMPT)
os.kill(pid, signal.SIGINT)
time.sleep(0.2)
os.write(terminal, b"/exit\r")
finish(pid, terminal)
