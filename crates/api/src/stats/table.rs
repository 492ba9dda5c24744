//! Figures as a table: CSV after RFC 4180, safe to open in a spreadsheet.

use std::fmt::Display;

use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};

/// What can be a line of a table.
pub(crate) trait Row {
    const COLUMNS: &'static [&'static str];

    /// As many as there are columns.
    fn cells(&self) -> Vec<Cell>;
}

/// One cell, as it stands between the commas.
pub(crate) struct Cell(String);

impl Cell {
    /// A name somebody gave. A spreadsheet takes what begins like a formula for one: such a name is marked as
    /// text. What is not there is empty.
    pub(crate) fn text(text: Option<&str>) -> Cell {
        let text = text.unwrap_or_default();
        let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
        let text = if formula { format!("'{text}") } else { text.to_owned() };
        if text.contains([',', '"', '\r', '\n']) {
            return Cell(format!("\"{}\"", text.replace('"', "\"\"")));
        }
        Cell(text)
    }

    /// A number or a moment of ours, none of which needs quoting.
    pub(crate) fn number(value: impl Display) -> Cell {
        Cell(value.to_string())
    }

    pub(crate) fn maybe(value: Option<impl Display>) -> Cell {
        value.map_or_else(|| Cell(String::new()), Cell::number)
    }
}

/// The table, the names of its columns first.
pub(crate) fn csv<R: Row>(rows: &[R]) -> Response {
    let headers: [(HeaderName, &str); 2] = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"figures.csv\""),
    ];
    (headers, text(rows)).into_response()
}

fn text<R: Row>(rows: &[R]) -> String {
    let mut text = R::COLUMNS.join(",");
    text.push_str("\r\n");
    for row in rows {
        let cells: Vec<String> = row.cells().into_iter().map(|Cell(cell)| cell).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_and_never_a_formula() {
        for (name, cell) in [
            ("sales", "sales"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("=HYPERLINK(\"http://x\",1)", "\"'=HYPERLINK(\"\"http://x\"\",1)\""),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("продажі", "продажі"),
        ] {
            assert_eq!(Cell::text(Some(name)).0, cell, "{name}");
        }
        assert_eq!(Cell::text(None).0, "");
        assert_eq!(Cell::maybe(Some(-3)).0, "-3", "a number of ours is one");
    }
}
