//! Looks into the types of a message: what borrows, what is `impl Trait`, what is the reply, and
//! what `Self` means outside of the impl block.

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Expr, ExprPath, GenericArgument, Lifetime, ParenthesizedGenericArguments, PathArguments, QSelf,
    ReturnType, TraitBound, Type, TypeFnPtr, TypeImplTrait, TypePath, TypeReference,
};

/// What a handler answers with.
pub(crate) enum Answer {
    /// Nothing: `()`.
    Unit,
    /// A plain value.
    Plain(Type),
    /// `Result<T, E>` with both written out.
    Result { ok: Box<Type>, err: Box<Type> },
    /// An alias such as `io::Result<T>`, which only the compiler can look into.
    Alias(Type),
}

impl Answer {
    /// Reads a return type in which `Self` was already replaced.
    pub(crate) fn of(output: &ReturnType) -> Answer {
        match output {
            ReturnType::Type(_, ty) => Answer::of_type(ty),
            ReturnType::Default => Answer::Unit,
        }
    }

    /// The same for a type that stands alone.
    pub(crate) fn of_type(ty: &Type) -> Answer {
        match peel(ty) {
            Type::Tuple(tuple) if tuple.elems.is_empty() => Answer::Unit,
            ty => match result_arguments(ty) {
                None => Answer::Plain(ty.clone()),
                Some(args) => match args.as_slice() {
                    [ok, err] => Answer::Result {
                        ok: Box::new(ok.clone()),
                        err: Box::new(err.clone()),
                    },
                    _ => Answer::Alias(ty.clone()),
                },
            },
        }
    }
}

/// The arguments of a type whose name is `Result`.
pub(crate) fn result_arguments(ty: &Type) -> Option<Vec<Type>> {
    let Type::Path(TypePath { path, .. }) = peel(ty) else {
        return None;
    };
    let last = path.segments.last()?;
    if last.ident != "Result" {
        return None;
    }
    let PathArguments::AngleBracketed(args) = &last.arguments else {
        return Some(Vec::new());
    };
    let types = args.args.iter().filter_map(|arg| match arg {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    Some(types.collect())
}

/// What may be missing, if this is an `Option<T>`, by its last word.
pub(crate) fn option_argument(ty: &Type) -> Option<Type> {
    let Type::Path(TypePath { path, .. }) = peel(ty) else {
        return None;
    };
    let last = path.segments.last().filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(args) = &last.arguments else {
        return None;
    };
    match args.args.first() {
        Some(GenericArgument::Type(ty)) => Some(ty.clone()),
        _ => None,
    }
}

/// Whether two types are written alike.
pub(crate) fn same(a: &Type, b: &Type) -> bool {
    peel(a).to_token_stream().to_string() == peel(b).to_token_stream().to_string()
}

/// Whether this is `Ctx<..>`, by its last word.
pub(crate) fn is_ctx(ty: &Type) -> bool {
    matches!(peel(ty), Type::Path(TypePath { path, .. })
        if path.segments.last().is_some_and(|last| last.ident == "Ctx"))
}

/// Whether this is `Reply<T>`, by its last word, and what `T` is if it says so.
pub(crate) fn reply_of(ty: &Type) -> Option<Option<Type>> {
    let Type::Path(TypePath { path, .. }) = peel(ty) else {
        return None;
    };
    let last = path.segments.last().filter(|last| last.ident == "Reply")?;
    let PathArguments::AngleBracketed(args) = &last.arguments else {
        return Some(None);
    };
    Some(args.args.iter().find_map(|arg| match arg {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    }))
}

/// A type without parentheses and the invisible groups that macros put around types.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        other => other,
    }
}

/// What a type contains that can't travel in a message.
#[derive(Default)]
pub(crate) struct Obstacles {
    /// The first borrow that is not `'static`.
    pub(crate) borrow: Option<Borrow>,
    /// The first `impl Trait`.
    pub(crate) opaque: Option<TypeImplTrait>,
}

/// Where a type borrows.
pub(crate) enum Borrow {
    Reference(TypeReference),
    Lifetime(Lifetime),
}

impl ToTokens for Borrow {
    fn to_tokens(&self, tokens: &mut proc_macro2::TokenStream) {
        match self {
            Borrow::Reference(reference) => reference.to_tokens(tokens),
            Borrow::Lifetime(lifetime) => lifetime.to_tokens(tokens),
        }
    }
}

impl Borrow {
    /// What to write instead of it.
    pub(crate) fn instead(&self) -> String {
        let Borrow::Reference(reference) = self else {
            return "use a type that owns its data, or `'static`".into();
        };
        match peel(&reference.elem) {
            Type::Slice(slice) => {
                let elem = slice.elem.to_token_stream().to_string().replace(' ', "");
                format!("write `Vec<{elem}>`")
            }
            elem => {
                let written = elem.to_token_stream().to_string().replace(' ', "");
                match written.rsplit("::").next().unwrap_or_default() {
                    "str" => "write `String`".into(),
                    "Path" => "write `PathBuf`".into(),
                    "OsStr" => "write `OsString`".into(),
                    "CStr" => "write `CString`".into(),
                    _ => format!("write `{written}`, or `Arc<{written}>` to share it"),
                }
            }
        }
    }
}

impl Obstacles {
    /// Searches a whole type.
    pub(crate) fn of(ty: &Type) -> Obstacles {
        let mut found = Obstacles::default();
        found.visit_type(ty);
        found
    }
}

impl<'ast> Visit<'ast> for Obstacles {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        if reference
            .lifetime
            .as_ref()
            .is_some_and(|lifetime| lifetime.ident == "static")
        {
            visit::visit_type_reference(self, reference);
        } else {
            self.borrow
                .get_or_insert_with(|| Borrow::Reference(reference.clone()));
        }
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.borrow
                .get_or_insert_with(|| Borrow::Lifetime(lifetime.clone()));
        }
    }

    fn visit_type_impl_trait(&mut self, opaque: &'ast TypeImplTrait) {
        self.opaque.get_or_insert_with(|| opaque.clone());
    }

    // `fn(&str)`, `Fn(&str)` and `for<'a> Trait<'a>` borrow when called, not while they travel.
    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}
    fn visit_trait_bound(&mut self, bound: &'ast TraitBound) {
        if bound.lifetimes.is_none() {
            visit::visit_trait_bound(self, bound);
        }
    }
}

/// Writes the actor's type where `Self` stood, for use outside of its impl block.
pub(crate) struct ReplaceSelf<'a>(pub(crate) &'a Type);

impl ReplaceSelf<'_> {
    /// `Self::CAPACITY` becomes `<Bank>::CAPACITY`.
    fn qualify(&self, qself: &mut Option<QSelf>, path: &mut syn::Path) {
        let starts_with_self = path
            .segments
            .first()
            .is_some_and(|first| first.ident == "Self");
        if qself.is_none() && starts_with_self && path.segments.len() > 1 {
            let segments = std::mem::take(&mut path.segments);
            path.leading_colon = Some(Default::default());
            path.segments = segments.into_iter().skip(1).collect();
            *qself = Some(QSelf {
                lt_token: Default::default(),
                ty: Box::new(self.0.clone()),
                position: 0,
                as_token: None,
                gt_token: Default::default(),
            });
        }
    }
}

impl VisitMut for ReplaceSelf<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        match ty {
            Type::Path(TypePath {
                qself: None, path, ..
            }) if path.is_ident("Self") => {
                *ty = self.0.clone();
            }
            _ => visit_mut::visit_type_mut(self, ty),
        }
    }

    fn visit_type_path_mut(&mut self, ty: &mut TypePath) {
        self.qualify(&mut ty.qself, &mut ty.path);
        visit_mut::visit_type_path_mut(self, ty);
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        if let Expr::Path(ExprPath { qself, path, .. }) = expr {
            self.qualify(qself, path);
        }
        visit_mut::visit_expr_mut(self, expr);
    }
}
