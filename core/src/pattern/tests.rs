//! What patterns mean and how they are refused, held against what Go says.

use super::*;
use proptest::prelude::*;

fn read(pattern: &str) -> Result<Pattern, String> {
    compile(pattern.as_bytes(), &mut Limits { compiled: 256 << 10, folds: 8 * ALL_CHARACTERS })
}

#[test]
fn patterns_mean_what_they_mean_in_go() {
    let yes = [
        ("web", "a web b"),
        ("^a.c$", "abc"),
        (r"^\d+$", "123"),
        (r"[[:alpha:]_-]", "-"),
        (r"[]a]", "]"),
        (r"[a\-z]", "-"),
        (r"[[a]", "["),
        (r"[a&&b]", "&"),
        ("(?i)WEB", "web"),
        ("(?i:W)eb", "web"),
        (r"\Qa.b\E+", "a.bb"),
        (r"a{2,}b{0,1}", "aa"),
        ("a{,2}", "a{,2}"),
        (r"\x41\x{1F600}\101", "A\u{1f600}A"),
        (r"\p{Greek}\pL\P{^Lu}", "αbC"),
        (r"[^\D]", "5"),
        ("(?P<n>a)|(?<m>b)", "b"),
        ("a(?i)*B", "aab"),
        (r"\bweb\b", "a web b"),
        ("", "anything"),
        ("a||b", "x"),
    ];
    for (pattern, text) in yes {
        let found = read(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        assert!(found.is_match(text.as_bytes()), "{pattern} on {text}");
    }
    let no = [(r"^\d$", "٣"), (r"^\w$", "é"), ("^a.c$", "a\nc"), (r"^[^a]$", "a"), (r"\bé", " é")];
    for (pattern, text) in no {
        let found = read(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        assert!(!found.is_match(text.as_bytes()), "{pattern} on {text}");
    }
}

#[test]
fn refusals_are_those_of_go() {
    let cases = [
        ("a(b", "missing closing ): `a(b`"),
        ("a)b", "unexpected ): `a)b`"),
        ("a[b", "missing closing ]: `[b`"),
        ("[", "missing closing ]: `[`"),
        ("[]", "missing closing ]: `[]`"),
        ("x[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
        (r"a\", "trailing backslash at end of expression: ``"),
        (r"\q", r"invalid escape sequence: `\q`"),
        (r"\8", r"invalid escape sequence: `\8`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"\x4", r"invalid escape sequence: `\x4`"),
        (r"\x{110000}", r"invalid escape sequence: `\x{110000`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("(*)", "missing argument to repetition operator: `*`"),
        ("a|+b", "missing argument to repetition operator: `+`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a+?+", "invalid nested repetition operator: `+?+`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        ("(a{100}){100}", "invalid repeat count: `{100}`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?P=n)", "invalid or unsupported Perl syntax: `(?P`"),
        ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        ("(?P<n-m>a)", "invalid named capture: `(?P<n-m>`"),
    ];
    for (pattern, wanted) in cases {
        let found = read(pattern).map(|_| ()).unwrap_err();
        assert_eq!(found, format!("error parsing regexp: {wanted}"), "{pattern}");
    }
}

#[test]
fn what_is_folded_is_counted_where_case_does_not_matter() {
    let all = ALL_CHARACTERS;
    let cases = [
        (r"[a\D]\pL", 0),
        (r"\pL(?i)a", 0),
        (r"(?i)^web-[0-9]+$", 10),
        (r"(?i)[^/]+\S", 1 + 128),
        (r"(?i:a)[a\D]", all),
        ("(?i)[\u{1}-\u{10ffff}]", all - 1),
        (r"(?i)[a-z[:^alpha:]]", all),
        (r"(?i)\pL\P{Lu}", 2 * 160_000),
        (r"(?i)[\pL\pN_]", 4 * 160_000 + 1),
        (r"(?i)[\PL\d]", 160_000 + all),
        (r"(?i)\p{Any}\p{Greek}", 2 * all),
    ];
    for (pattern, wanted) in cases {
        let mut limits = Limits { compiled: 1 << 20, folds: 9 * all };
        compile(pattern.as_bytes(), &mut limits).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        assert_eq!(9 * all - limits.folds, wanted, "{pattern}");
    }
    let many = format!("(?i){}", r"[a\D]".repeat(9));
    let wanted = format!("error parsing regexp: too many characters without regard to case: `{many}`");
    assert_eq!(read(&many).map(|_| ()), Err(wanted));
}

proptest! {
    #[test]
    fn any_pattern_is_compiled_or_refused(pattern in "[-a\\[\\](){}|*+?^$.\\\\:0-9pPQEx]{0,24}") {
        let _ = read(&pattern);
    }
}
