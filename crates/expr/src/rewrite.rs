//! Puts the price tags on an expression, and makes its arithmetic ours.
//!
//! What costs more than one step is: copying, comparing and searching values, which happens where a value is used as a
//! whole; and loops. So each use of a variable or a part of one as a whole goes through `@meter`, and so does each list
//! that is looped over, with the size of the loop's body.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, LiteralValue, MapEntryExpr, operators,
};
use cel::common::types::CelInt;
use cel::parser::Expression as Ast;

use crate::budget::{METER, NAME};
use crate::numbers;

/// A pattern is compiled each time it is used.
const PATTERN_STEPS: i64 = 1000;

pub(crate) fn metered(ast: Ast) -> Ast {
    let Ast { id, expr } = ast;
    let expr = match expr {
        Expr::Call(call) => Expr::Call(metered_call(call)),
        Expr::Comprehension(comprehension) => Expr::Comprehension(Box::new(metered_loop(*comprehension))),
        Expr::Select(mut select) => {
            select.operand = Box::new(metered(*select.operand));
            Expr::Select(select)
        }
        Expr::List(mut list) => {
            list.elements = list.elements.into_iter().map(used).collect();
            Expr::List(list)
        }
        Expr::Map(mut map) => {
            map.entries = map.entries.into_iter().map(metered_entry).collect();
            Expr::Map(map)
        }
        other => other,
    };
    Ast { id, expr }
}

fn metered_call(call: CallExpr) -> CallExpr {
    let CallExpr { func_name, target, args } = call;
    if let Some(ours) = arithmetic(&func_name, &args) {
        let mut args: Vec<_> = args.into_iter().map(metered).collect();
        args.push(budget());
        return CallExpr { func_name: ours.into(), target: None, args };
    }
    let only_looks = matches!(
        func_name.as_str(),
        operators::CONDITIONAL
            | operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::NOT_STRICTLY_FALSE
            | operators::NEGATE
            | operators::INDEX
            | operators::ADD
            | "size"
    );
    let each = if only_looks { metered } else { used };
    let target = target.map(|target| Box::new(each(*target)));
    let mut args: Vec<_> = args.into_iter().map(each).collect();
    if func_name == "matches"
        && let Some(pattern) = args.pop()
    {
        args.push(meter(pattern, PATTERN_STEPS, 0));
    }
    CallExpr { func_name, target, args }
}

fn metered_loop(comprehension: ComprehensionExpr) -> ComprehensionExpr {
    let body = nodes(&comprehension.loop_step) + nodes(&comprehension.loop_cond);
    ComprehensionExpr {
        iter_range: meter(metered(comprehension.iter_range), 0, body),
        accu_init: metered(comprehension.accu_init),
        loop_cond: metered(comprehension.loop_cond),
        loop_step: metered(comprehension.loop_step),
        result: metered(comprehension.result),
        ..comprehension
    }
}

fn metered_entry(entry: IdedEntryExpr) -> IdedEntryExpr {
    let expr = match entry.expr {
        EntryExpr::MapEntry(map) => {
            EntryExpr::MapEntry(MapEntryExpr { key: used(map.key), value: used(map.value), ..map })
        }
        field @ EntryExpr::StructField(_) => field,
    };
    IdedEntryExpr { expr, ..entry }
}

/// An expression whose value is used as a whole. Calls and literals make new values, which were paid for in the making.
fn used(ast: Ast) -> Ast {
    let lends = match &ast.expr {
        Expr::Ident(_) => true,
        Expr::Select(select) => !select.test,
        Expr::Call(call) => matches!(call.func_name.as_str(), operators::INDEX | operators::CONDITIONAL),
        _ => false,
    };
    let ast = metered(ast);
    if lends { meter(ast, 0, 0) } else { ast }
}

/// Our own form of an arithmetic operator. The loops that macros make from `map` and `exists_one` keep theirs: `cel`
/// recognises them by it.
fn arithmetic(operator: &str, args: &[Ast]) -> Option<&'static str> {
    let is_accumulator =
        matches!(args.first(), Some(Ast { expr: Expr::Ident(name), .. }) if name.starts_with('@'));
    match operator {
        _ if is_accumulator || args.len() != 2 => None,
        operators::ADD => Some(numbers::ADD),
        operators::SUBSTRACT => Some(numbers::SUBTRACT),
        operators::MULTIPLY => Some(numbers::MULTIPLY),
        operators::DIVIDE => Some(numbers::DIVIDE),
        _ => None,
    }
}

fn meter(value: Ast, fixed: i64, per_element: i64) -> Ast {
    let id = value.id;
    let number = |n: i64| Ast { id, expr: Expr::Literal(LiteralValue::Int(CelInt::from(n))) };
    let args = vec![value, number(fixed), number(per_element), budget()];
    Ast { id, expr: Expr::Call(CallExpr { func_name: METER.into(), target: None, args }) }
}

fn budget() -> Ast {
    Ast { id: 0, expr: Expr::Ident(NAME.into()) }
}

fn nodes(ast: &Ast) -> i64 {
    let mut count = 0;
    crate::compile::walk(ast, &mut |_| count += 1);
    count
}
