//! Who waits, and whose turn it is.

use std::collections::VecDeque;

/// Requests of several clients: the clients take turns, and each one's requests come in order.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// In order of their turns; none is without requests.
    clients: VecDeque<(String, VecDeque<T>)>,
    len: usize,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Queue<T> {
        Queue { clients: VecDeque::new(), len: 0 }
    }

    /// Requests that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends a request of a client.
    pub(super) fn push(&mut self, client: &str, request: T) {
        self.len += 1;
        if let Some((_, requests)) = self.clients.iter_mut().find(|(name, _)| name == client) {
            requests.push_back(request);
        } else {
            self.clients.push_back((client.to_owned(), VecDeque::from([request])));
        }
    }

    /// Takes the first request of the client whose turn it is. A client whose first request is not
    /// ready keeps its turn, and the next client is asked.
    pub(super) fn take(&mut self, is_ready: &mut dyn FnMut(&T) -> bool) -> Option<T> {
        let ready =
            |(_, requests): &(String, VecDeque<T>)| requests.front().is_some_and(&mut *is_ready);
        let index = self.clients.iter().position(ready)?;
        let (name, mut requests) = self.clients.remove(index)?;
        let request = requests.pop_front();
        if !requests.is_empty() {
            self.clients.push_back((name, requests));
        }
        self.len -= usize::from(request.is_some());
        request
    }

    /// Takes out all requests that `is_gone`.
    pub(super) fn remove(&mut self, is_gone: &mut dyn FnMut(&mut T) -> bool) -> Vec<T> {
        let mut gone = Vec::new();
        for (_, requests) in &mut self.clients {
            for _ in 0..requests.len() {
                let Some(mut request) = requests.pop_front() else { break };
                match is_gone(&mut request) {
                    true => gone.push(request),
                    false => requests.push_back(request),
                }
            }
        }
        self.clients.retain(|(_, requests)| !requests.is_empty());
        self.len -= gone.len();
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Queue<u32> {
        let mut queue = Queue::new();
        for (client, request) in [("a", 1), ("a", 2), ("a", 3), ("b", 10), ("c", 20), ("b", 11)] {
            queue.push(client, request);
        }
        queue
    }

    fn all(queue: &mut Queue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.take(&mut |_| true)).collect()
    }

    #[test]
    fn clients_take_turns_and_their_requests_come_in_order() {
        let mut queue = filled();
        assert_eq!(queue.len(), 6);
        assert_eq!(all(&mut queue), [1, 10, 20, 2, 11, 3]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn who_is_not_ready_keeps_its_turn() {
        let mut queue = filled();
        assert_eq!(queue.take(&mut |request| *request != 1), Some(10));
        assert_eq!(queue.take(&mut |_| false), None);
        assert_eq!(all(&mut queue), [1, 20, 11, 2, 3]);
    }

    #[test]
    fn who_is_gone_leaves_no_gap() {
        let mut queue = filled();
        assert_eq!(queue.remove(&mut |request| [2, 20].contains(request)), [2, 20]);
        assert_eq!(queue.len(), 4);
        assert_eq!(all(&mut queue), [1, 10, 3, 11]);
    }
}
