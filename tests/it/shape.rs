//! The shape of the code in numbers: files, lines, levels of imports, circles.
//!
//! `cargo test --test it the_shape -- --nocapture` prints it.

use std::collections::BTreeSet;

use crate::support::imports::{Arrows, arrows_between, circles, is_code, levels, wing_of, without_tests};
use crate::support::tree::sources;

/// The arrows between wings, of those between files.
fn between_wings(arrows: &Arrows) -> Arrows {
    let mut wings = Arrows::new();
    for (from, to) in arrows {
        let from = wing_of(from);
        let to = to.iter().map(|to| wing_of(to).to_owned()).filter(|to| to != from);
        wings.entry(from.to_owned()).or_default().extend(to);
    }
    wings
}

/// No two files need each other, by however long a way.
#[test]
fn the_shape_of_the_code_has_no_circle() {
    let files = sources("src");
    let code: Vec<_> = files.iter().filter(|(name, _)| is_code(name)).collect();
    let arrows = arrows_between(&files);
    let wings = between_wings(&arrows);
    let count = |arrows: &Arrows| arrows.values().map(BTreeSet::len).sum::<usize>();
    let circles = circles(&arrows);
    for (what, number) in [
        ("files", files.len()),
        ("lines", files.iter().map(|(_, text)| text.lines().count()).sum()),
        ("lines without tests", code.iter().map(|(_, text)| without_tests(text).lines().count()).sum()),
        ("wings, the files of the ground included", wings.len()),
        ("arrows between files", count(&arrows)),
        ("arrows between wings", count(&wings)),
        ("levels of files", levels(&arrows)),
        ("levels of wings", levels(&wings)),
        ("circles of files", circles.len()),
    ] {
        println!("{number:>7} {what}");
    }
    assert!(circles.is_empty(), "{circles:#?}");
}

/// However a file names another, it is seen.
#[test]
fn every_way_to_name_a_file_is_an_arrow() {
    let named = |text: &str| {
        let files = [
            ("src/lib.rs", "mod a; mod b; pub use b::c::Thing;"),
            ("src/a/mod.rs", "mod own; mod sibling; pub(crate) use sibling::Sibling;"),
            ("src/a/own.rs", text),
            ("src/a/sibling.rs", ""),
            ("src/b/mod.rs", "mod c; mod d; pub(crate) use c::Thing; pub(crate) use d::{self as other};"),
            ("src/b/c.rs", ""),
            ("src/b/d.rs", ""),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
        arrows_between(&files)["a::own"].iter().cloned().collect::<Vec<_>>().join(" ")
    };
    for (text, expected) in [
        ("use crate::b::c::Thing;", "b::c"),
        ("use crate::{b::{d::X, c::{self, Thing}}, a::sibling};", "a::sibling b::c b::d"),
        ("use super::sibling::X;", "a::sibling"),
        ("fn f() { super::sibling::x() }", "a::sibling"),
        ("fn f(x: crate::b::d::X) {}", "b::d"),
        ("fn f() { super::super::b::constant() }", "b"),
        ("mod inner { use super::super::sibling::X; }", "a::sibling"),
        // Who passes a name on is not who defines it.
        ("use super::Sibling;", "a::sibling"),
        ("use crate::Thing as Other; fn f() { Other::new() }", "b::c"),
        ("use crate::b::Thing;", "b::c"),
        ("use crate::b::other::X;", "b::d"),
        ("use crate::b; fn f() { b::Thing::new() }", "b::c"),
        // What is no path.
        ("// crate::b::c\n/* crate::b::c */ fn f() -> &'static str { \"\\\"crate::b::c\" }", ""),
        (
            "const A: [char; 2] = ['\"', '\\'']; const B: &str = r#\"crate::b::c\"\"#; use super::sibling::X;",
            "a::sibling",
        ),
        ("use std::b::c; fn f() { self::g(); Self::b::c() }", ""),
        ("#[cfg(test)]\nmod tests { use crate::b::c; }", ""),
    ] {
        let text = format!("//! \n{text}");
        assert_eq!(named(&text), expected, "{text}");
    }
}

/// A circle of three, one of two that it hangs on, and a chain below.
#[test]
fn circles_and_levels_are_counted() {
    let arrows = |text: &str| {
        let mut arrows = Arrows::new();
        for arrow in text.split(' ') {
            let (from, to) = arrow.split_once('>').unwrap();
            arrows.entry(from.to_owned()).or_default().insert(to.to_owned());
            arrows.entry(to.to_owned()).or_default();
        }
        arrows
    };
    let both = arrows("a>b b>c c>a c>d d>e e>d e>f f>g");
    assert_eq!(circles(&both).into_iter().map(|circle| circle.concat()).collect::<Vec<_>>(), ["abc", "de"]);
    assert_eq!(levels(&both), 4);
    let none = arrows("a>b a>c b>c");
    assert_eq!((circles(&none).len(), levels(&none)), (0, 3));
}
