//! The methods that the library calls by itself: `#[init]`, `#[stopped]`, `#[every]` and the rest.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Attribute, ImplItemFn, ReturnType, Type};

use crate::attrs;
use crate::mistakes::Mistakes;
use crate::model::{HighWater, Init, Stopped, Tick, is_message};
use crate::signature::{self, Receiver};
use crate::types::{Answer, option_argument, result_arguments, same};

/// Reads the `#[init]` function.
pub(crate) fn init(
    method: &ImplItemFn,
    attr: &Attribute,
    self_ty: &Type,
    mistakes: &mut Mistakes,
) -> Option<Init> {
    plain_hook(attr, method, mistakes);
    let params = signature::check(&method.sig, Receiver::None, "#[init]", mistakes);
    // Whether it is the state, and whether that may be missing.
    let state = |ty: &Type| {
        if same(ty, self_ty) {
            Some(false)
        } else {
            option_argument(ty)
                .is_some_and(|ty| same(&ty, self_ty))
                .then_some(true)
        }
    };
    let fallible = |ty: &Type| state(result_arguments(ty)?.first()?);
    let returns = match &method.sig.output {
        ReturnType::Type(_, ty) if let Some(may_decline) = state(ty) => Some((None, may_decline)),
        ReturnType::Type(_, ty) if let Some(may_decline) = fallible(ty) => {
            Some((Some(Answer::of(&method.sig.output)), may_decline))
        }
        other => {
            let why = "`#[init]` makes the actor's state, so it returns `Self`, or \
                       `Result<Self, E>` if it can fail; `Option<Self>` in place of `Self` if it \
                       may say \"not now\"";
            match other {
                ReturnType::Default => mistakes.at(&method.sig.ident, why),
                ReturnType::Type(_, ty) => mistakes.at(ty, why),
            }
            None
        }
    };
    let (fails, may_decline) = returns.unzip();
    Some(Init {
        ident: method.sig.ident.clone(),
        is_async: method.sig.asyncness.is_some(),
        params: params?,
        docs: method
            .attrs
            .iter()
            .filter(|attr| attr.path().is_ident("doc"))
            .cloned()
            .collect(),
        fails: fails?,
        may_decline: may_decline?,
    })
}

/// Reads the `#[stopped]` method.
pub(crate) fn stopped(
    method: &ImplItemFn,
    attr: &Attribute,
    mistakes: &mut Mistakes,
) -> Option<Stopped> {
    plain_hook(attr, method, mistakes);
    let params = signature::check(&method.sig, Receiver::Owned, "#[stopped]", mistakes);
    let silent = signature::check_silent(&method.sig, "#[stopped]", mistakes);
    let params = params?;
    if let Some(extra) = params.args.get(1) {
        mistakes.at(
            &extra.ty,
            "`#[stopped]` is told why the actor stops and nothing else; write \
             `fn close(self, why: StopReason)`, with `ctx: &Ctx<Self>` if needed",
        );
        return None;
    }
    silent.then(|| Stopped {
        ident: method.sig.ident.clone(),
        is_async: method.sig.asyncness.is_some(),
        params,
    })
}

/// A hook that is told one thing, and may do without it.
pub(crate) struct HookKind {
    pub(crate) name: &'static str,
    role: &'static str,
    receiver: Receiver,
    /// How it is written, with what it is told.
    form: &'static str,
}

/// The order of `Model::hooks`.
pub(crate) const HOOKS: [HookKind; 3] = [
    HookKind {
        name: "down",
        role: "#[down]",
        receiver: Receiver::Borrowed,
        form: "fn gone(&mut self, down: Down)",
    },
    HookKind {
        name: "exit",
        role: "#[exit]",
        receiver: Receiver::Borrowed,
        form: "fn left(&mut self, exited: Exited)",
    },
    HookKind {
        name: "restarting",
        role: "#[restarting]",
        receiver: Receiver::None,
        form: "async fn recover(why: ExitReason)",
    },
];

/// The place of this attribute's hook in `HOOKS`.
pub(crate) fn hook_at(attr: &Attribute) -> Option<usize> {
    HOOKS.iter().position(|h| attr.path().is_ident(h.name))
}

/// Reads one of `HOOKS`.
pub(crate) fn hook(
    kind: &HookKind,
    method: &ImplItemFn,
    attr: &Attribute,
    mistakes: &mut Mistakes,
) -> Option<Stopped> {
    plain_hook(attr, method, mistakes);
    let params = signature::check(&method.sig, kind.receiver, kind.role, mistakes);
    let silent = signature::check_silent(&method.sig, kind.role, mistakes);
    let params = params?;
    if let Some(extra) = params.args.get(1) {
        mistakes.at(
            &extra.ty,
            format!(
                "`{}` is told one thing and nothing else; write `{}`, with `ctx: &Ctx<Self>` if \
                 needed",
                kind.role, kind.form
            ),
        );
        return None;
    }
    silent.then(|| Stopped {
        ident: method.sig.ident.clone(),
        is_async: method.sig.asyncness.is_some(),
        params,
    })
}

/// Reads the `#[every]` method.
pub(crate) fn tick(
    method: &ImplItemFn,
    attr: &Attribute,
    period_ms: Option<u64>,
    mistakes: &mut Mistakes,
) -> Option<Tick> {
    no_cfg(attr, method, mistakes);
    // A `pub` tick is checked as a message as well, which must not say everything twice.
    let both = is_message(method);
    let mut unheard = Mistakes::default();
    let heard = if both { &mut unheard } else { &mut *mistakes };
    let params = signature::check(&method.sig, Receiver::Borrowed, "#[every]", heard)?;
    let silent = signature::check_silent(&method.sig, "#[every]", mistakes);
    if let Some(extra) = params.args.first() {
        mistakes.at(
            &extra.ty,
            "nobody is there to give a tick this argument; `#[every]` methods take `&mut self` \
             and, if needed, `ctx: &Ctx<Self>`: keep what the tick needs in the actor's state",
        );
        return None;
    }
    silent.then_some(())?;
    Some(Tick {
        ident: method.sig.ident.clone(),
        is_async: method.sig.asyncness.is_some(),
        params,
        period_ms: period_ms?,
    })
}

/// Reads the `#[high_water]` function.
pub(crate) fn high_water(
    method: &ImplItemFn,
    attr: &Attribute,
    mistakes: &mut Mistakes,
) -> Option<HighWater> {
    plain_hook(attr, method, mistakes);
    let is_right = method.sig.receiver().is_none()
        && method.sig.asyncness.is_none()
        && method.sig.generics.params.is_empty()
        && method.sig.inputs.len() == 1;
    if !is_right {
        mistakes.at(
            &method.sig.ident,
            "`#[high_water]` is called by whoever fills the mailbox, away from the actor's state, \
             and must not wait; write `fn crowded(change: &Pressure<'_>)`",
        );
        return None;
    }
    let silent = signature::check_silent(&method.sig, "#[high_water]", mistakes);
    silent.then(|| HighWater {
        ident: method.sig.ident.clone(),
    })
}

/// Whether this is the first of its kind; a second one is a mistake.
pub(crate) fn once(attr: &Attribute, seen: &mut Option<Span>, mistakes: &mut Mistakes) -> bool {
    if seen.replace(attr.span()).is_none() {
        return true;
    }
    let name = attr
        .path()
        .get_ident()
        .map(ToString::to_string)
        .unwrap_or_default();
    mistakes.at(
        attr,
        format!(
            "an actor has one `#[{name}]`, and there is one above; call this function from that one \
             instead"
        ),
    );
    false
}

/// Hooks take no options and always exist.
fn plain_hook(attr: &Attribute, method: &ImplItemFn, mistakes: &mut Mistakes) {
    if attr.meta.require_path_only().is_err() {
        let name = attr
            .path()
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        mistakes.at(
            attr,
            format!("`#[{name}]` takes no options; write it alone"),
        );
    }
    no_cfg(attr, method, mistakes);
}

/// A hook that may be compiled out would change what else is generated.
fn no_cfg(attr: &Attribute, method: &ImplItemFn, mistakes: &mut Mistakes) {
    for cfg in attrs::cfgs(&method.attrs) {
        let name = attr
            .path()
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        mistakes.at(
            cfg,
            format!(
                "`#[{name}]` can't be switched by `cfg` on its own; put the `cfg` inside of its \
                 body, or on the whole `impl` block above `#[actor]`"
            ),
        );
    }
}
