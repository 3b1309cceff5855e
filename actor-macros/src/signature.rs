//! Whether a method's arguments and reply can travel between goroutines.
//!
//! A message is taken apart at the caller and put together in the actor's goroutine, so what it
//! carries is owned, has one concrete type and a name. `&Ctx<Self>` is the exception: it does not
//! travel, the actor's goroutine adds it. So is `Reply<T>`, the slot of the message itself.

use syn::Type;
use syn::{FnArg, GenericParam, Ident, Pat, PatType, ReceiverKind, ReturnType, Safety, Signature};

use crate::attrs;
use crate::mistakes::Mistakes;
use crate::types::{Obstacles, is_ctx, peel, reply_of};

/// What a method takes besides `self`.
pub(crate) struct Params {
    /// What travels, in order.
    pub(crate) args: Vec<Arg>,
    /// The place of `&Ctx<Self>` among all of them.
    pub(crate) ctx_at: Option<usize>,
    /// The `Reply<T>` of a handler that answers later.
    pub(crate) reply: Option<DeferredReply>,
}

/// An argument `reply: Reply<T>`: the caller does not give it.
pub(crate) struct DeferredReply {
    /// Its place among all arguments.
    pub(crate) at: usize,
    /// `T`.
    pub(crate) answer: Type,
}

/// One argument that travels.
pub(crate) struct Arg {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
}

/// The receiver that a role asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receiver {
    None,
    Borrowed,
    Owned,
}

/// Checks all of a signature but its reply. `None` after a mistake.
pub(crate) fn check(
    sig: &Signature,
    receiver: Receiver,
    role: &str,
    mistakes: &mut Mistakes,
) -> Option<Params> {
    let qualifiers = check_qualifiers(sig, role, mistakes);
    let receiver = check_receiver(sig, receiver, role, mistakes);
    let generics = check_generics(sig, role, mistakes);
    let mut params = Params {
        args: Vec::new(),
        ctx_at: None,
        reply: None,
    };
    let mut valid = qualifiers && receiver && generics;
    let typed = sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    for (place, input) in typed.enumerate() {
        if let Some(is_right) = check_ctx(input, mistakes) {
            valid &= is_right;
            if params.ctx_at.replace(place).is_some() {
                mistakes.at(input, "one `&Ctx<Self>` is enough; remove this one");
                valid = false;
            }
            continue;
        }
        if let Some(answer) = check_deferred(input, role, mistakes) {
            match answer {
                None => valid = false,
                Some(_) if params.reply.is_some() => {
                    mistakes.at(
                        input,
                        "a call has one reply, and there is one above; to carry the reply of \
                         another call in this one, put it into a struct",
                    );
                    valid = false;
                }
                Some(answer) => params.reply = Some(DeferredReply { at: place, answer }),
            }
            continue;
        }
        match check_arg(input, place, role, mistakes) {
            Some(arg) => params.args.push(arg),
            None => valid = false,
        }
    }
    valid.then_some(params)
}

/// Whether the reply is owned and of one concrete type.
pub(crate) fn check_reply(sig: &Signature, mistakes: &mut Mistakes) -> bool {
    let ReturnType::Type(_, ty) = &sig.output else {
        return true;
    };
    check_answer(ty, sig.asyncness.is_none(), mistakes)
}

fn check_answer(ty: &Type, is_sync: bool, mistakes: &mut Mistakes) -> bool {
    let found = Obstacles::of(ty);
    if let Some(opaque) = found.opaque {
        let hint = if is_sync && mentions(&opaque, "Future") {
            "write `async fn` and the future's output"
        } else {
            "write the concrete type, or `Box<dyn Trait + Send>`"
        };
        mistakes.at(
            opaque,
            format!(
                "a reply can't be `impl Trait`: the message enum must name the type of its reply \
                 slot; {hint}"
            ),
        );
        return false;
    }
    if let Some(borrow) = found.borrow {
        let instead = borrow.instead();
        mistakes.at(
            borrow,
            format!(
                "a reply can't be borrowed: it leaves the actor's goroutine, and the state it \
                 points to stays; {instead}"
            ),
        );
        return false;
    }
    if let Type::Never(never) = peel(ty) {
        mistakes.at(
            never,
            "a handler must return, or the actor never takes its next message; to end the actor, \
             call `ctx.stop()`",
        );
        return false;
    }
    true
}

/// Whether a hook returns nothing.
pub(crate) fn check_silent(sig: &Signature, role: &str, mistakes: &mut Mistakes) -> bool {
    match &sig.output {
        ReturnType::Default => true,
        ReturnType::Type(_, ty) => match peel(ty) {
            Type::Tuple(tuple) if tuple.elems.is_empty() => true,
            ty => {
                mistakes.at(
                    ty,
                    format!(
                        "`{role}` has no caller to give a value to; return nothing, and handle \
                         errors inside, by logging them or by a panic, which the supervisor sees"
                    ),
                );
                false
            }
        },
    }
}

/// Whether a `#[batch]` method returns nothing.
pub(crate) fn check_silent_batch(sig: &Signature, mistakes: &mut Mistakes) -> bool {
    match &sig.output {
        ReturnType::Default => true,
        ReturnType::Type(_, ty) => {
            mistakes.at(
                ty,
                "a `#[batch]` method answers each caller through its item, such as with \
                 `item.answer(value)`; return nothing, and write what each is answered as the \
                 second type of `Batch<T, R>`",
            );
            false
        }
    }
}

fn check_qualifiers(sig: &Signature, role: &str, mistakes: &mut Mistakes) -> bool {
    let before = "the actor's goroutine calls it like any other method; remove";
    let mut valid = true;
    let mut reject = |tokens: &dyn quote::ToTokens, word: &str| {
        let tokens = tokens.to_token_stream();
        mistakes.at(
            tokens,
            format!("{} can't be `{word}`: {before} `{word}`", spoken(role)),
        );
        valid = false;
    };
    if let Some(token) = &sig.constness {
        reject(token, "const");
    }
    match &sig.safety {
        Safety::Unsafe(token) => reject(token, "unsafe"),
        Safety::Safe(token) => reject(token, "safe"),
        Safety::Default => {}
    }
    if let Some(abi) = &sig.abi {
        reject(abi, "extern");
    }
    if let Some(variadic) = &sig.variadic {
        mistakes.at(
            variadic,
            "`...` has no number and no types, so it can't be stored in a message; take a `Vec`",
        );
        valid = false;
    }
    valid
}

fn check_receiver(sig: &Signature, wanted: Receiver, role: &str, mistakes: &mut Mistakes) -> bool {
    let Some(receiver) = sig.receiver() else {
        let what = match wanted {
            Receiver::None => return true,
            Receiver::Borrowed => "it works on the actor's state; write `&mut self` or `&self`",
            Receiver::Owned => "it gets the state to take it apart; write `self`",
        };
        mistakes.at(
            &sig.ident,
            format!("{} has no `self`, but {what}", spoken(role)),
        );
        return false;
    };
    let given = match &receiver.kind {
        ReceiverKind::Value => Some(Receiver::Owned),
        ReceiverKind::Reference(..) => Some(Receiver::Borrowed),
        // `Self` was replaced, so any plain reference is one to the actor.
        ReceiverKind::Typed(_, ty) => match peel(ty) {
            Type::Reference(_) => Some(Receiver::Borrowed),
            _ => None,
        },
        _ => None,
    };
    if given == Some(wanted) {
        return true;
    }
    mistakes.at(
        receiver,
        match wanted {
            Receiver::None if role == "#[restarting]" => {
                "`#[restarting]` runs between two lives: the old state is gone and the new one isn't \
                 made yet; leave `self` out and take `why: ExitReason`"
            }
            Receiver::None => {
                "`#[init]` runs before there is a `self`: it makes the state; take what it needs \
                 as arguments and return `Self`"
            }
            Receiver::Borrowed if given == Some(Receiver::Owned) => {
                "this would take the state away from the actor, which needs it for the next \
                 message; write `&mut self` or `&self` (`ctx.stop()` ends an actor, and \
                 `#[stopped]` then gets `self`)"
            }
            Receiver::Borrowed => {
                "the actor owns its state and lends it to each message; write `&mut self` or \
                 `&self`"
            }
            Receiver::Owned => {
                "`#[stopped]` is the end of the state, which is dropped before anyone is told; \
                 take `self` by value"
            }
        },
    );
    false
}

fn check_generics(sig: &Signature, role: &str, mistakes: &mut Mistakes) -> bool {
    let mut valid = true;
    for param in &sig.generics.params {
        // A lifetime may still be that of `self`; where an argument uses it, that is a mistake.
        if !matches!(param, GenericParam::Lifetime(_)) {
            mistakes.at(
                param,
                format!(
                    "{} can't be generic: it is one variant of a concrete enum; write the \
                     concrete type, an enum of those you need, or `Box<dyn Trait + Send>`",
                    spoken(role)
                ),
            );
            valid = false;
        }
    }
    valid
}

/// `None` if this is not about `Ctx`, else whether it is written right.
fn check_ctx(input: &PatType, mistakes: &mut Mistakes) -> Option<bool> {
    let right = match peel(&input.ty) {
        Type::Reference(reference) if is_ctx(&reference.elem) => reference.mutability.is_none(),
        ty if is_ctx(ty) => false,
        _ => return None,
    };
    if !right {
        mistakes.at(
            &input.ty,
            "the context is lent to a method; write `&Ctx<Self>`",
        );
    }
    Some(right)
}

/// `None` if this is no `Reply`, else what it answers with, if it is written right.
fn check_deferred(input: &PatType, role: &str, mistakes: &mut Mistakes) -> Option<Option<Type>> {
    let answer = reply_of(&input.ty)?;
    if role.starts_with('#') {
        mistakes.at(
            input,
            format!("`{role}` has no caller to answer, so it takes no `Reply`; remove it"),
        );
        return Some(None);
    }
    let Some(answer) = answer else {
        mistakes.at(
            &input.ty,
            "the reply does not say what it answers with; write `Reply<T>`, or \
             `Reply<Result<T, E>>` if the handler can fail",
        );
        return Some(None);
    };
    Some(check_answer(&answer, false, mistakes).then_some(answer))
}

fn check_arg(input: &PatType, place: usize, role: &str, mistakes: &mut Mistakes) -> Option<Arg> {
    let mut valid = true;
    for cfg in attrs::cfgs(&input.attrs) {
        mistakes.at(
            cfg,
            "a single argument can't be switched by `cfg`; write two methods with a `cfg` each",
        );
        valid = false;
    }
    let found = Obstacles::of(&input.ty);
    if let Some(opaque) = found.opaque {
        mistakes.at(
            opaque,
            format!(
                "an argument of {} can't be `impl Trait`: the message enum must name its type; \
                 write the concrete type, such as `String` for `impl Into<String>`",
                spoken(role)
            ),
        );
        valid = false;
    } else if let Some(borrow) = found.borrow {
        let instead = borrow.instead();
        mistakes.at(
            borrow,
            format!(
                "an argument of {} can't be borrowed: it goes to another goroutine and may arrive \
                 after its owner is gone; {instead}",
                spoken(role)
            ),
        );
        valid = false;
    }
    let ident = match &*input.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => pat.ident.clone(),
        Pat::Wild(wild) => Ident::new(&format!("arg{place}"), wild.underscore_token.span),
        pat => {
            mistakes.at(
                pat,
                format!(
                    "an argument of {} needs a name, as a field of the message enum has one; give \
                     it one here and take it apart in the body with `let`",
                    spoken(role)
                ),
            );
            return None;
        }
    };
    valid.then(|| Arg {
        ident,
        ty: (*input.ty).clone(),
    })
}

/// The role as it stands in a sentence.
fn spoken(role: &str) -> String {
    if role.starts_with('#') {
        format!("`{role}`")
    } else {
        role.into()
    }
}

/// Whether a word stands anywhere in these tokens.
pub(crate) fn mentions(tokens: impl quote::ToTokens, word: &str) -> bool {
    tokens
        .into_token_stream()
        .into_iter()
        .any(|token| match token {
            proc_macro2::TokenTree::Ident(ident) => ident == word,
            proc_macro2::TokenTree::Group(group) => mentions(group.stream(), word),
            _ => false,
        })
}
