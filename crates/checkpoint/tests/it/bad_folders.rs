//! Folders and files that hold no model, and parts beside the weights that are damaged.

use gptoss_checkpoint::Model;

use crate::{copy_of, message, open_error, testdata};

#[test]
fn folders_without_a_model_say_what_they_hold() {
    let mut messages =
        crate::Messages::of("bad_folders/folders_without_a_model_say_what_they_hold");
    let folder = tempfile::tempdir().unwrap();
    messages.push(open_error(folder.path(), ""));
    for name in ["a.txt", "b.py", "c.md", "d", "e", "f", "config.json"] {
        std::fs::write(folder.path().join(name), "{}").unwrap();
    }
    messages.push(open_error(folder.path(), ""));
    messages.push(open_error(folder.path(), "a.txt"));
    // What follows is the operating system's sentence.
    assert!(open_error(folder.path(), "no such").starts_with("no such: cannot be read: "));
    messages.check();
}

#[test]
fn folders_with_several_models_list_them() {
    let mut messages = crate::Messages::of("bad_folders/folders_with_several_models_list_them");
    let folder = tempfile::tempdir().unwrap();
    for name in ["b-Q4_0.gguf", "a-Q8_0.gguf", "c-00001-of-00002.gguf", "c-00002-of-00002.gguf"] {
        std::fs::copy(testdata("t64/model.gguf"), folder.path().join(name)).unwrap();
    }
    messages.push(open_error(folder.path(), ""));

    let folder = copy_of("t64/mxfp4");
    let whole = folder.path().join("model.safetensors");
    for name in ["a.safetensors", "b.safetensors"] {
        std::fs::copy(&whole, folder.path().join(name)).unwrap();
    }
    assert!(Model::open(folder.path()).is_ok(), "model.safetensors is the one");
    std::fs::remove_file(whole).unwrap();
    messages.push(open_error(folder.path(), ""));
    messages.check();
}

#[test]
fn openais_folder_is_found_below_a_repository() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    let original = folder.path().join("original");
    std::fs::create_dir(&original).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(testdata("t64/original").join(file), original.join(file)).unwrap();
    }
    let model = Model::open(folder.path()).unwrap();
    assert_eq!(model.layout, gptoss_checkpoint::Layout::Original);
    assert_eq!(model.files[0].path, original.join("model.safetensors"));
}

#[test]
fn formats_without_a_reader_are_named() {
    let mut messages = crate::Messages::of("bad_folders/formats_without_a_reader_are_named");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.bin"), b"GPT-OSS v1.0\0....").unwrap();
    messages.push(open_error(folder.path(), "model.bin"));
    std::fs::write(folder.path().join("empty"), b"").unwrap();
    messages.push(open_error(folder.path(), "empty"));
    std::fs::write(folder.path().join("empty.gguf"), b"").unwrap();
    messages.push(open_error(folder.path(), "empty.gguf"));
    messages.check();
}

#[test]
fn a_missing_tokenizer_is_an_error_only_for_those_who_need_one() {
    let mut messages = crate::Messages::of(
        "bad_folders/a_missing_tokenizer_is_an_error_only_for_those_who_need_one",
    );
    let folder = copy_of("t64/mxfp4");
    let model = Model::open(folder.path()).unwrap();
    let error = model.require_tokenizer().unwrap_err();
    messages.push(message(folder.path(), &error));
    std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    assert!(Model::open(folder.path()).unwrap().require_tokenizer().is_ok());
    messages.check();
}

#[test]
fn damaged_sampling_defaults_name_the_field() {
    let mut messages = crate::Messages::of("bad_folders/damaged_sampling_defaults_name_the_field");
    let folder = copy_of("t64/mxfp4");
    let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
    write("generation_config.json", r#"{"eos_token_id": [2, "x"]}"#);
    messages.push(open_error(folder.path(), ""));
    write("generation_config.json", r#"{"temperature": "warm"}"#);
    messages.push(open_error(folder.path(), ""));
    write("generation_config.json", r#"{"eos_token_id": 7}"#);
    write("harmony.json", r#"{"system_message": 1}"#);
    messages.push(open_error(folder.path(), ""));
    write("harmony.json", r#"{"system_message": "You are terse."}"#);
    let chat = Model::open(folder.path()).unwrap().chat;
    assert_eq!(chat.eos_token_ids, [7]);
    assert_eq!(chat.harmony.unwrap().system_message.as_deref(), Some("You are terse."));
    messages.check();
}

#[test]
fn templates_come_from_the_files_of_the_tokenizer() {
    let folder = copy_of("t64/mxfp4");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let chat = || Model::open(folder.path()).unwrap().chat;
    assert_eq!(chat().chat_template, None);
    write(
        "tokenizer_config.json",
        r#"{"chat_template": [{"name": "tool_use", "template": "a"},
                              {"name": "default", "template": "b"}],
            "bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>",
            "unk_token": null, "add_bos_token": true}"#,
    );
    write("special_tokens_map.json", r#"{"eos_token": "<other>", "unk_token": "<unk>"}"#);
    let found = chat();
    assert_eq!(found.chat_template.as_deref(), Some("b"));
    assert_eq!(found.add_bos_token, Some(true));
    let tokens = [found.bos_token, found.eos_token, found.unk_token];
    assert_eq!(tokens.map(Option::unwrap), ["<s>", "</s>", "<unk>"]);
    write("chat_template.jinja", "c");
    assert_eq!(chat().chat_template.as_deref(), Some("c"));

    let mut messages = crate::Messages::of("bad_folders/templates");
    write("chat_template.jinja", &"x".repeat((1 << 20) + 1));
    messages.push(crate::open_error(folder.path(), ""));
    std::fs::write(folder.path().join("chat_template.jinja"), b"\xff").unwrap();
    messages.push(crate::open_error(folder.path(), ""));
    for wrong in [r#"{"chat_template": [{"name": "tool_use"}]}"#, r#"{"bos_token": 1}"#] {
        write("tokenizer_config.json", wrong);
        messages.push(crate::open_error(folder.path(), ""));
    }
    messages.check();
}
