//! From an impl block to what `expand.rs` needs, with every mistake found on the way.
//!
//! - A method with a mistake is left out of the model; the rest of the block is still generated.
//! - Roles: a helper attribute decides first (`#[init]`, `#[stopped]`, `#[every]` ..;
//!   `#[concurrent]` is for messages), then a `pub`
//!   method with `self` is a message; everything else is the user's own. An `#[every]` method that
//!   is `pub` is both: a tick, and a message that anyone may send in between.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{Attribute, Expr, Ident, ImplItem, ImplItemFn, ItemImpl, Path, Type, Visibility};

use crate::attrs;
use crate::hooks::{HOOKS, high_water, hook, hook_at, init, once, stopped, tick};
use crate::messages::{concurrent, is_new, message};
use crate::mistakes::Mistakes;
use crate::parse::{self, ActorOptions};
use crate::poison::{self, Poison};
use crate::queueing::{self, Queueing, only_on_messages};
use crate::signature::Params;
use crate::types::{Answer, Obstacles, ReplaceSelf, peel};

/// A valid actor, or the valid part of one.
pub(crate) struct Model {
    pub(crate) options: ActorOptions,
    /// The actor's type, as the user wrote it.
    pub(crate) self_ty: Type,
    /// Its last word, from which the generated names are made.
    pub(crate) name: Ident,
    /// The impl block's own `#[cfg]`s, which hold for all that is generated.
    pub(crate) cfgs: Vec<Attribute>,
    /// `None` after a mistake only.
    pub(crate) init: Option<Init>,
    pub(crate) messages: Vec<Message>,
    pub(crate) stopped: Option<Stopped>,
    /// In the order of `HOOKS`.
    pub(crate) hooks: [Option<Stopped>; HOOKS.len()],
    pub(crate) ticks: Vec<Tick>,
    pub(crate) high_water: Option<HighWater>,
    /// Functions that the macro would add and the user has, which is a mistake.
    pub(crate) taken: Vec<Ident>,
}

/// The `#[init]` function.
pub(crate) struct Init {
    pub(crate) ident: Ident,
    pub(crate) is_async: bool,
    pub(crate) params: Params,
    pub(crate) docs: Vec<Attribute>,
    /// How it fails: `None` if it returns `Self` or `Option<Self>`, else the `Result`.
    pub(crate) fails: Option<Answer>,
    /// Whether it may say "not now": an `Option<Self>`, alone or in the `Result`.
    pub(crate) may_decline: bool,
}

/// A `pub` method.
pub(crate) struct Message {
    pub(crate) ident: Ident,
    pub(crate) variant: Ident,
    pub(crate) vis: Visibility,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) is_async: bool,
    pub(crate) params: Params,
    pub(crate) answer: Answer,
    pub(crate) queueing: Queueing,
    pub(crate) concurrent: Option<Concurrent>,
    /// The protocols that it is said to belong to.
    pub(crate) provides: Vec<Path>,
    pub(crate) limit_ms: Option<u64>,
    pub(crate) poison: Option<Poison>,
}

impl Message {
    /// Whether its answer may come after its handler has returned: it is given the `Reply`, or the
    /// replies of a batch, which may be taken out.
    pub(crate) fn defers_reply(&self) -> bool {
        self.params.reply.is_some() || self.queueing.batch.is_some()
    }
}

/// `#[concurrent]` on a message.
pub(crate) struct Concurrent {
    pub(crate) span: Span,
    /// How many may run at once, if it says so.
    pub(crate) max: Option<Expr>,
}

/// The `#[stopped]` method, or another that is told one thing.
pub(crate) struct Stopped {
    pub(crate) ident: Ident,
    pub(crate) is_async: bool,
    pub(crate) params: Params,
}

/// An `#[every]` method.
pub(crate) struct Tick {
    pub(crate) ident: Ident,
    pub(crate) is_async: bool,
    pub(crate) params: Params,
    pub(crate) period_ms: u64,
}

/// The `#[high_water]` function.
pub(crate) struct HighWater {
    pub(crate) ident: Ident,
}

/// Names of the functions that the macro adds to the actor's type.
const ACTOR_FUNCTIONS: [&str; 2] = ["child", "start"];

/// Reads the block; `None` if it is not one that could be an actor.
pub(crate) fn model(
    item: &ItemImpl,
    options: ActorOptions,
    mistakes: &mut Mistakes,
) -> Option<Model> {
    let name = actor_name(item, mistakes)?;
    let mut model = Model {
        options,
        self_ty: (*item.self_ty).clone(),
        name,
        cfgs: attrs::cfgs(&item.attrs),
        init: None,
        messages: Vec::new(),
        stopped: None,
        hooks: Default::default(),
        ticks: Vec::new(),
        high_water: None,
        taken: Vec::new(),
    };
    let mut init_seen: Option<Span> = None;
    let mut stopped_seen: Option<Span> = None;
    let mut high_water_seen: Option<Span> = None;
    let mut hooks_seen = [None; HOOKS.len()];
    for entry in &item.items {
        let ImplItem::Fn(original) = entry else {
            continue;
        };
        // Generated items stand outside of the impl block, where there is no `Self`.
        let mut method = original.clone();
        ReplaceSelf(&model.self_ty).visit_signature_mut(&mut method.sig);
        let method = &method;
        let ident = &method.sig.ident;
        let is_instance = model.options.singleton.is_some() && ident == "instance";
        if is_instance || ACTOR_FUNCTIONS.iter().any(|taken| ident == taken) {
            mistakes.at(
                ident,
                format!(
                    "`#[actor]` generates a function `{}::{ident}` itself; give this one another \
                     name",
                    model.name
                ),
            );
            model.taken.push(ident.clone());
            continue;
        }
        if !is_message(method) {
            only_on_messages(method, mistakes);
        }
        let limit = attrs::helper(method, "limit");
        let has_role = |method| {
            let roles = attrs::helpers(method);
            roles.iter().any(|attr| !attr.path().is_ident("concurrent"))
        };
        if let Some(limit) = limit
            && (!is_message(method) || has_role(method))
        {
            mistakes.at(
                limit,
                "`#[limit]` is the time that one message may take: it goes on a `pub` method that is \
                 a message; `#[actor(handler_limit = seconds(5))]` is for everything that the actor \
                 handles",
            );
        }
        if let Some(poison) = attrs::helper(method, "poison")
            && (!is_message(method) || has_role(method))
        {
            mistakes.at(
                poison,
                "`#[poison]` is about a message that crashes the actor: it goes on a `pub` method that \
                 is a message",
            );
        }
        let mut beside_others = None;
        if let Some(mark) = method.attrs.iter().find(|attr| attrs::is_mark(attr))
            && !is_message(method)
        {
            mistakes.at(
                mark,
                "only a message can belong to a protocol; make the method `pub`, with `&mut self` \
                 or `&self`, or remove this",
            );
        }
        match attrs::helpers(method).as_slice() {
            [] => {}
            [attr] if attr.path().is_ident("high_water") => {
                if once(attr, &mut high_water_seen, mistakes) {
                    model.high_water = high_water(method, attr, mistakes);
                }
                continue;
            }
            [attr] if attr.path().is_ident("concurrent") => {
                beside_others = concurrent(method, attr, mistakes);
            }
            [attr] if attr.path().is_ident("init") => {
                if once(attr, &mut init_seen, mistakes) {
                    model.init = init(method, attr, &model.self_ty, mistakes);
                }
                continue;
            }
            [attr] if attr.path().is_ident("stopped") => {
                if once(attr, &mut stopped_seen, mistakes) {
                    model.stopped = stopped(method, attr, mistakes);
                }
                continue;
            }
            [attr] if hook_at(attr).is_some() => {
                let at = hook_at(attr).expect("just seen");
                if once(attr, &mut hooks_seen[at], mistakes) {
                    model.hooks[at] = hook(&HOOKS[at], method, attr, mistakes);
                }
                continue;
            }
            [attr] => {
                let period_ms = parse::period(attr, mistakes);
                model.ticks.extend(tick(method, attr, period_ms, mistakes));
                if !is_message(method) {
                    continue;
                }
            }
            [_, second, ..] => {
                mistakes.at(
                    second,
                    "a method has one role: keep one of `#[init]`, `#[restarting]`, `#[stopped]`, \
                     `#[every]`, `#[down]`, `#[exit]`, `#[high_water]` and `#[concurrent]`",
                );
                init_seen = init_seen.or(attrs::helper(method, "init").map(|attr| attr.span()));
                continue;
            }
        }
        if is_message(method)
            && let Some(mut message) = message(method, &model.self_ty, mistakes)
            && is_new(&message, &model.messages, mistakes)
        {
            message.concurrent = beside_others;
            model.messages.push(message);
        }
    }
    if model.options.singleton.is_some()
        && let Some(init) = &model.init
        && let Some(first) = init.params.args.first()
    {
        mistakes.at(
            &first.ident,
            "whoever asks first starts a singleton, so nobody could say what its `#[init]` is to \
             be given: take no arguments here (`ctx: &Ctx<Self>` is fine) and let `#[init]` find \
             what it needs, or remove `singleton`",
        );
    }
    if init_seen.is_none() {
        let name = &model.name;
        mistakes.at(
            &item.self_ty,
            format!(
                "the actor `{name}` has no `#[init]` function, so nothing could make its state at \
                 the start or at a restart; add one, such as `#[init] fn new() -> Self {{ .. }}`"
            ),
        );
    }
    queueing::check(&model, mistakes);
    poison::check(&model, mistakes);
    Some(model)
}

/// The last word of the actor's type, if the block is an inherent one of a concrete type.
fn actor_name(item: &ItemImpl, mistakes: &mut Mistakes) -> Option<Ident> {
    if let Some((path, _)) = &item.trait_ {
        mistakes.at(
            path,
            "`#[actor]` goes on the type's own `impl` block, whose `pub` methods become messages; \
             the methods of a trait can't: write `#[actor] impl Type { .. }` and leave this block \
             as it is",
        );
        return None;
    }
    if !item.generics.params.is_empty() || item.generics.where_clause.is_some() {
        mistakes.at(
            &item.generics,
            "an actor can't be generic: its messages are one concrete enum; write `#[actor]` on \
             an `impl` of a concrete type, which may hold the generic part as a field",
        );
        return None;
    }
    if let Some(borrow) = Obstacles::of(&item.self_ty).borrow {
        mistakes.at(
            borrow,
            "an actor can't borrow: it lives in a goroutine of its own, as long as it likes; give \
             it data that it owns, or shares through an `Arc`",
        );
        return None;
    }
    match peel(&item.self_ty) {
        Type::Path(ty) if ty.qself.is_none() => ty.path.segments.last().map(|s| s.ident.clone()),
        other => {
            mistakes.at(
                other,
                "an actor is a struct or an enum with a name; put what this is into a struct and \
                 write `#[actor]` on its `impl`",
            );
            None
        }
    }
}

/// Whether a method is a message, by the rule for methods without a helper attribute.
pub(crate) fn is_message(method: &ImplItemFn) -> bool {
    let visible = match &method.vis {
        Visibility::Public(_) => true,
        Visibility::Restricted(restricted) => !restricted.path.is_ident("self"),
        _ => false,
    };
    visible && method.sig.receiver().is_some()
}
