//! Walks over the tree of an expression.

use cel::common::ast::{EntryExpr, Expr};
use cel::parser::Expression as Ast;

/// Calls `visit` for each node, parents first.
pub(crate) fn walk<'a>(ast: &'a Ast, visit: &mut impl FnMut(&'a Ast)) {
    visit(ast);
    for child in children(ast) {
        walk(child, visit);
    }
}

/// Nodes on the longest way from the root to a leaf.
pub(super) fn depth(ast: &Ast) -> usize {
    1 + children(ast).into_iter().map(depth).max().unwrap_or(0)
}

fn children(ast: &Ast) -> Vec<&Ast> {
    match &ast.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(c) => vec![&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|entry| entry_children(&entry.expr)).collect(),
        Expr::Struct(strukt) => strukt.entries.iter().flat_map(|entry| entry_children(&entry.expr)).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
    }
}

fn entry_children(entry: &EntryExpr) -> Vec<&Ast> {
    match entry {
        EntryExpr::MapEntry(map) => vec![&map.key, &map.value],
        EntryExpr::StructField(field) => vec![&field.value],
    }
}

/// The names that no loop binds, with the node that uses them, in the order of the source.
pub(super) fn free_names(ast: &Ast) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    collect_free(ast, &mut Vec::new(), &mut found);
    found
}

fn collect_free<'a>(ast: &'a Ast, bound: &mut Vec<&'a str>, found: &mut Vec<(String, u64)>) {
    match &ast.expr {
        Expr::Ident(name) => {
            let plain = name.trim_start_matches('.');
            if !bound.contains(&name.as_str()) && !plain.starts_with('@') {
                found.push((plain.to_owned(), ast.id));
            }
        }
        Expr::Comprehension(c) => {
            collect_free(&c.iter_range, bound, found);
            collect_free(&c.accu_init, bound, found);
            let outside = bound.len();
            bound.extend([c.iter_var.as_str(), c.accu_var.as_str()]);
            bound.extend(c.iter_var2.as_deref());
            for inner in [&c.loop_cond, &c.loop_step, &c.result] {
                collect_free(inner, bound, found);
            }
            bound.truncate(outside);
        }
        _ => {
            for child in children(ast) {
                collect_free(child, bound, found);
            }
        }
    }
}
