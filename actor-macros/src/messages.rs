//! Which messages a block has: their names must be new as variants and free as handle methods.

use syn::ext::IdentExt;
use syn::{Attribute, Ident, ImplItemFn};

use crate::attrs;
use crate::mistakes::Mistakes;
use crate::model::Message;
use crate::parse;
use crate::signature::{self, Receiver};
use crate::types::Answer;

/// Names that the handle has for itself. A message of the same name would hide it.
const HANDLE_METHODS: [&str; 16] = [
    "actor_ref",
    "as_ref",
    "clone",
    "eq",
    "fmt",
    "hash",
    "id",
    "is_stopped",
    "kill",
    "mailbox_len",
    "monitor",
    "name",
    "stop",
    "stop_now",
    "stop_with",
    "wait",
];

/// Reads a `pub` method.
pub(crate) fn message(method: &ImplItemFn, mistakes: &mut Mistakes) -> Option<Message> {
    let params = signature::check(&method.sig, Receiver::Borrowed, "a message", mistakes);
    let answers = signature::check_reply(&method.sig, mistakes);
    let limit_ms = match attrs::helper(method, "limit") {
        Some(attr) => Some(parse::limit(attr, mistakes)?),
        None => None,
    };
    let name = method.sig.ident.unraw().to_string();
    if HANDLE_METHODS.contains(&name.as_str()) {
        mistakes.at(
            &method.sig.ident,
            format!(
                "every handle has its own method `{name}`, which this message would hide; give the \
                 message another name"
            ),
        );
        return None;
    }
    Some(Message {
        ident: method.sig.ident.clone(),
        variant: Ident::new(&camel_case(&name), method.sig.ident.span()),
        vis: method.vis.clone(),
        attrs: attrs::carried(&method.attrs),
        is_async: method.sig.asyncness.is_some(),
        params: params?,
        answer: answers.then(|| Answer::of(&method.sig.output))?,
        limit_ms,
    })
}

/// Whether no other message has this variant's name. Two of the same method name with a `cfg` each
/// are alternatives.
pub(crate) fn is_new(message: &Message, others: &[Message], mistakes: &mut Mistakes) -> bool {
    let Some(other) = others.iter().find(|other| other.variant == message.variant) else {
        return true;
    };
    let switched = |m: &Message| {
        m.attrs
            .iter()
            .any(|a| !a.path().is_ident("doc") && is_cfg(a))
    };
    if other.ident == message.ident && switched(other) && switched(message) {
        return true;
    }
    mistakes.at(
        &message.ident,
        format!(
            "the messages `{}` and `{}` would both be the variant `{}` of the message enum; rename \
             one of them",
            other.ident, message.ident, message.variant
        ),
    );
    false
}

fn is_cfg(attr: &Attribute) -> bool {
    attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr")
}

/// `get_many` becomes `GetMany`; what would not be a name gets an underscore.
fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 1);
    for word in name.split('_') {
        let mut letters = word.chars();
        out.extend(
            letters
                .next()
                .map(|first| first.to_uppercase())
                .into_iter()
                .flatten(),
        );
        out.push_str(letters.as_str());
    }
    match out.as_str() {
        "Self" => "Self_".into(),
        "" => "Unnamed".into(),
        _ if out.starts_with(char::is_numeric) => format!("_{out}"),
        _ => out,
    }
}
