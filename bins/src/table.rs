//! Columns of text, aligned as Consul's tables are: every cell but the last of its row is padded to
//! the widest cell of its column, and a fixed gap follows.

/// Gap between columns of a table with a header row.
pub const GAP: usize = 2;

/// Gap of the two-column lists that Consul prints without a header (`kv get -detailed`).
pub const WIDE_GAP: usize = 6;

/// Renders `rows`, one line each, without a newline after the last.
///
/// Widths are counted in characters. The last cell of a row is never padded, so an empty one leaves
/// the padding of the cell before it in place: scripts that cut by offset rely on it.
pub fn columns(rows: &[Vec<String>], gap: usize) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (i, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(i) {
                Some(w) => *w = (*w).max(width),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        if n > 0 {
            text.push('\n');
        }
        for (i, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if i + 1 < row.len() {
                let pad = widths[i] - cell.chars().count() + gap;
                text.extend(std::iter::repeat_n(' ', pad));
            }
        }
    }
    text
}

/// A row from string slices.
pub fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|c| (*c).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell_and_the_last_is_not_padded() {
        let text = columns(&[row(["Node", "DC"]), row(["a-long-name", "dc1"]), row(["b", ""])], GAP);
        assert_eq!(text, "Node         DC\na-long-name  dc1\nb            ");
    }

    #[test]
    fn width_counts_characters_not_bytes() {
        let text = columns(&[row(["\u{e9}\u{e9}", "x"]), row(["abc", "y"])], 1);
        assert_eq!(text, "\u{e9}\u{e9}  x\nabc y");
    }

    #[test]
    fn rows_of_unequal_length_keep_their_own_columns() {
        assert_eq!(columns(&[row(["a"]).to_vec(), row(["b", "c"]).to_vec()], GAP), "a\nb  c");
        assert_eq!(columns(&[], GAP), "");
    }
}
