//! From source to a checked, metered expression.

mod syntax;
mod walk;

use std::collections::HashSet;

use cel::common::ast::{Expr, SourceInfo};
use cel::parser::Expression as Ast;

pub(crate) use walk::walk;

use crate::error::{Error, Position};
use crate::functions::{self, CALLABLE};
use crate::{Expression, Limits, Variable, rewrite};

/// Levels of an expression. `cel` takes about 40 KB of stack for each in a debug build, which has to fit, with all that
/// is there already, into the 2 MB of a runtime thread.
const MAX_DEPTH: usize = 32;

/// The parser recurses through a dozen functions for each bracket, and through the longest chain of operators that the
/// longest source can hold. Only what is used becomes memory.
const PARSER_STACK: usize = 64 << 20;

pub(crate) fn compile(source: &str, limits: Limits) -> Result<Expression, Error> {
    let limit = limits.max_source_bytes.min(Limits::MAX_SOURCE_BYTES);
    if source.len() > limit {
        return Err(Error::TooLong { bytes: source.len(), limit });
    }
    let unable = || Error::Evaluation("the parser cannot be run; is memory short?".into());
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().name("expression".into()).stack_size(PARSER_STACK);
        let parser = parser.spawn_scoped(scope, || on_big_stack(source, limits)).map_err(|_| unable())?;
        // The parser is generated code: should it panic on some source, that source is refused.
        parser.join().unwrap_or_else(|_| Err(syntax::unreadable()))
    })
}

fn on_big_stack(source: &str, limits: Limits) -> Result<Expression, Error> {
    let env = functions::env();
    let parser = env.parser().enable_optional_syntax(false).max_recursion_depth(3 * MAX_DEPTH as u16);
    let (ast, info) = parser.parse_with_source_info(source).map_err(|e| syntax::explain(&e, MAX_DEPTH))?;
    check_calls(&ast, &info, source)?;
    let free = walk::free_names(&ast);
    let ast = rewrite::metered(ast);
    if walk::depth(&ast) > MAX_DEPTH {
        return Err(Error::TooDeep { limit: MAX_DEPTH });
    }
    let (mut variables, mut type_names, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (name, id) in free {
        if !seen.insert(name.clone()) {
            continue;
        }
        if env.types().find_type(&name).is_some() {
            type_names.push(name);
        } else {
            variables.push(Variable { position: position(&info, source, id), name });
        }
    }
    Ok(Expression { source: source.into(), ast, env, variables, type_names, limits })
}

fn check_calls(ast: &Ast, info: &SourceInfo, source: &str) -> Result<(), Error> {
    let mut mistake = None;
    walk(ast, &mut |node| {
        let message = match &node.expr {
            Expr::Call(call) if is_word(&call.func_name) && !CALLABLE.contains(&call.func_name.as_str()) => {
                unknown_function(&call.func_name)
            }
            Expr::Struct(strukt) => format!("there is no type {:?} to build", strukt.type_name),
            Expr::Unspecified => "something is missing here".into(),
            _ => return,
        };
        mistake.get_or_insert_with(|| Error::Syntax { position: position(info, source, node.id), message });
    });
    mistake.map_or(Ok(()), Err)
}

fn is_word(function: &str) -> bool {
    function.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.')
        || (function.starts_with('_') && !function.contains(|c: char| c.is_ascii_punctuation() && c != '_'))
}

fn unknown_function(name: &str) -> String {
    let macros = ["has", "all", "exists", "exists_one", "map", "filter"];
    if macros.contains(&name) {
        return format!("{name} is not called like this: write has(a.b) or list.{name}(x, ...)");
    }
    let near = CALLABLE.iter().chain(&macros).min_by_key(|known| strsim::levenshtein(known, name));
    match near.filter(|known| strsim::levenshtein(known, name) <= 2) {
        Some(known) => format!("there is no function {name:?}; did you mean {known:?}?"),
        None => format!("there is no function {name:?}"),
    }
}

fn position(info: &SourceInfo, source: &str, id: u64) -> Position {
    Position::of(source, info.offset_for(id).map_or(0, |(start, _)| start as usize))
}
