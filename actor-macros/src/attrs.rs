//! What becomes of the attributes of a user's method: helpers are taken off the emitted impl, a few
//! are carried over to the generated items, the rest stays where the user wrote it.

use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Attribute, ImplItemFn, ItemImpl, Meta, Token, parse_quote};

/// The helper attributes that give a method its role. Like the others, they only mean something
/// inside `#[actor]`.
const HELPERS: [&str; 8] = [
    "init",
    "stopped",
    "every",
    "down",
    "exit",
    "restarting",
    "high_water",
    "concurrent",
];

/// Those that say how a message is queued, whatever else the method is.
const MODIFIERS: [&str; 3] = ["priority", "coalesce", "batch"];

/// Helper attributes that say something about a method beside its role.
const MARKS: [&str; 1] = ["provides"];
/// What is said about the handling of one message: how long it may take, and what becomes of it if
/// the actor crashes on it.
const HANDLING: [&str; 2] = ["limit", "poison"];

/// A helper attribute, by name.
pub(crate) fn helper<'a>(method: &'a ImplItemFn, name: &str) -> Option<&'a Attribute> {
    method.attrs.iter().find(|attr| attr.path().is_ident(name))
}

/// The helper attributes of a method that give it a role.
pub(crate) fn helpers(method: &ImplItemFn) -> Vec<&Attribute> {
    method.attrs.iter().filter(|attr| is_helper(attr)).collect()
}

/// The attributes that say how a message is queued.
pub(crate) fn modifiers(method: &ImplItemFn) -> impl Iterator<Item = &Attribute> {
    method.attrs.iter().filter(|attr| is_modifier(attr))
}

/// The user's impl, as it is given back to the compiler.
pub(crate) fn without_helpers(mut item: ItemImpl) -> ItemImpl {
    for entry in &mut item.items {
        if let syn::ImplItem::Fn(method) = entry {
            method.attrs.retain(|attr| {
                !is_helper(attr)
                    && !is_modifier(attr)
                    && !is_mark(attr)
                    && !HANDLING.iter().any(|name| attr.path().is_ident(name))
            });
        }
    }
    item
}

/// Docs, cfg and deprecation: what a message's handle method takes over.
pub(crate) fn carried(attrs: &[Attribute]) -> Vec<Attribute> {
    only(attrs, &["doc", "cfg", "deprecated"])
}

/// The attributes that decide whether an item exists at all.
pub(crate) fn cfgs(attrs: &[Attribute]) -> Vec<Attribute> {
    only(attrs, &["cfg"])
}

/// The attributes with one of these names; of a `cfg_attr`, the part that has one.
fn only(attrs: &[Attribute], names: &[&str]) -> Vec<Attribute> {
    let is_wanted = |path: &syn::Path| names.iter().any(|name| path.is_ident(name));
    let mut out = Vec::new();
    for attr in attrs {
        if is_wanted(attr.path()) {
            out.push(attr.clone());
        } else if attr.path().is_ident("cfg_attr")
            && let Meta::List(list) = &attr.meta
            && let Ok(parts) =
                Punctuated::<Meta, Token![,]>::parse_terminated.parse2(list.tokens.clone())
        {
            let mut parts = parts.into_iter();
            let Some(condition) = parts.next() else {
                continue;
            };
            let kept: Vec<Meta> = parts.filter(|meta| is_wanted(meta.path())).collect();
            if !kept.is_empty() {
                out.push(parse_quote!(#[cfg_attr(#condition, #(#kept),*)]));
            }
        }
    }
    out
}

/// Whether there is a doc comment.
pub(crate) fn has_docs(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| attr.path().is_ident("doc"))
}

fn is_modifier(attr: &Attribute) -> bool {
    MODIFIERS.iter().any(|name| attr.path().is_ident(name))
}

/// Whether it is a helper attribute beside the role.
pub(crate) fn is_mark(attr: &Attribute) -> bool {
    MARKS.iter().any(|name| attr.path().is_ident(name))
}

fn is_helper(attr: &Attribute) -> bool {
    HELPERS.iter().any(|name| attr.path().is_ident(name))
}
