//! Which messages a block has: their names must be new as variants and free as handle methods.

use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Ident, ImplItemFn, ReceiverKind, ReturnType, Type};

use crate::attrs;
use crate::mistakes::Mistakes;
use crate::model::{Concurrent, Message, is_message};
use crate::parse;
use crate::poison;
use crate::protocol;
use crate::queueing::queueing;
use crate::signature::{self, Receiver};
use crate::types::{Answer, peel};

/// Names that the handle has for itself. A message of the same name would hide it.
pub(crate) const HANDLE_METHODS: [&str; 17] = [
    "actor_ref",
    "as_ref",
    "clone",
    "downgrade",
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
pub(crate) fn message(
    method: &ImplItemFn,
    self_ty: &Type,
    mistakes: &mut Mistakes,
) -> Option<Message> {
    let (queueing, seen) = queueing(method, self_ty, mistakes)?;
    let method = seen.as_ref().unwrap_or(method);
    let params = signature::check(&method.sig, Receiver::Borrowed, "a message", mistakes);
    let answers = signature::check_reply(&method.sig, mistakes);
    let mut limits = method.attrs.iter().filter(|a| a.path().is_ident("limit"));
    let limit_ms = match limits.next() {
        Some(attr) => Some(parse::limit(attr, mistakes)?),
        None => None,
    };
    if let Some(second) = limits.next() {
        mistakes.at(second, "this attribute is given twice; keep one of them");
        return None;
    }
    let poison = poison::of_message(method, mistakes).ok()?;
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
    let deferred = params.as_ref().and_then(|params| params.reply.as_ref());
    if deferred.is_some() && !answers_nothing(&method.sig.output) {
        mistakes.at(
            &method.sig.output,
            "this handler takes its `Reply`, so it answers with `reply.send(..)`, now or later; let \
             it return nothing",
        );
        return None;
    }
    let answer = match deferred {
        Some(reply) => Answer::of_type(&reply.answer),
        None => Answer::of(&method.sig.output),
    };
    let provides = protocol::provided(&method.attrs, mistakes);
    Some(Message {
        ident: method.sig.ident.clone(),
        variant: Ident::new(&camel_case(&name), method.sig.ident.span()),
        vis: method.vis.clone(),
        attrs: attrs::carried(&method.attrs),
        is_async: method.sig.asyncness.is_some(),
        params: params?,
        answer: answers.then_some(answer)?,
        queueing,
        concurrent: None,
        provides,
        limit_ms,
        poison,
    })
}

/// Reads `#[concurrent]`, which only a message with `&self` can have.
pub(crate) fn concurrent(
    method: &ImplItemFn,
    attr: &Attribute,
    mistakes: &mut Mistakes,
) -> Option<Concurrent> {
    let max = parse::concurrent_max(attr, mistakes);
    let mut valid = max.is_ok();
    if !is_message(method) {
        mistakes.at(
            attr,
            "`#[concurrent]` lets messages run beside each other, and this method is no message; \
             make it `pub` with `&self`, or remove the attribute",
        );
        return None;
    }
    if let Some(receiver) = method.sig.receiver()
        && is_mutable(receiver)
    {
        mistakes.at(
            receiver.self_token,
            "a concurrent handler shares the state with others that run at the same time; take \
             `&self`, and keep what it changes behind a lock or in another actor",
        );
        valid = false;
    }
    valid.then(|| Concurrent {
        span: attr.path().span(),
        max: max.ok().flatten(),
    })
}

fn is_mutable(receiver: &syn::Receiver) -> bool {
    match &receiver.kind {
        ReceiverKind::Typed(_, ty) => matches!(
            peel(ty),
            Type::Reference(reference) if reference.mutability.is_some()
        ),
        ReceiverKind::Reference(_, _, mutability) => mutability.is_some(),
        _ => false,
    }
}

fn answers_nothing(output: &ReturnType) -> bool {
    matches!(Answer::of(output), Answer::Unit)
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
