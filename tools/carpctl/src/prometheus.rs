// SPDX-License-Identifier: GPL-2.0

//! Prometheus' text format, version 0.0.4: for each metric its HELP and TYPE, then its
//! samples.

/// What a monitor may do with a metric's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// They go up and down.
    Gauge,
    /// They only grow, until what counts begins anew. The name ends in `_total`.
    Counter,
}

/// Labels of a sample, as they are written; perhaps none, beside others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(String);

impl Labels {
    pub fn of(name: &str, value: &str) -> Self {
        Self(String::with_capacity(64)).and(name, value)
    }

    /// The same and one more.
    pub fn and(mut self, name: &str, value: &str) -> Self {
        let between = if self.0.is_empty() { "" } else { "," };
        self.0 += between;
        self.0 += name;
        self.0 += "=\"";
        push_escaped(&mut self.0, value);
        self.0 += "\"";
        self
    }
}

/// In a value of a label a backslash, a quotation mark and a line's end are escaped.
fn push_escaped(text: &mut String, value: &str) {
    for piece in value.split_inclusive(['\\', '"', '\n']) {
        let end = piece.len() - usize::from(piece.ends_with(['\\', '"', '\n']));
        text.push_str(&piece[..end]);
        match &piece[end..] {
            "\\" => text.push_str("\\\\"),
            "\"" => text.push_str("\\\""),
            "\n" => text.push_str("\\n"),
            _ => {}
        }
    }
}

/// The value of a sample, which ends its line.
pub trait Value {
    fn push_line(self, page: &mut String);
}

impl Value for u64 {
    /// A page of many virtual hosts has 100,000 of them, and `write!` takes longer.
    fn push_line(self, page: &mut String) {
        if self == 0 {
            // that is what most are
            return page.push_str("0\n");
        }
        let mut digits = [b'\n'; 21];
        let mut left = self;
        let mut count = 1;
        for digit in digits.iter_mut().rev().skip(1) {
            *digit = b'0' + u8::try_from(left % 10).unwrap_or_default();
            left /= 10;
            count += 1;
            if left == 0 {
                break;
            }
        }
        let used = &digits[digits.len() - count..];
        page.push_str(std::str::from_utf8(used).unwrap_or_default());
    }
}

impl Value for u32 {
    fn push_line(self, page: &mut String) {
        u64::from(self).push_line(page);
    }
}

impl Value for bool {
    fn push_line(self, page: &mut String) {
        page.push_str(if self { "1\n" } else { "0\n" });
    }
}

impl Value for &str {
    fn push_line(self, page: &mut String) {
        page.push_str(self);
        page.push('\n');
    }
}

/// All metrics, one after the other. One without samples is left out.
#[derive(Default)]
pub struct Page(String);

impl Page {
    /// Begins a metric, whose samples come next. The help is one line, without a backslash.
    pub fn metric(&mut self, kind: Type, name: &str, help: &str) -> Metric<'_> {
        let kind = match kind {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
        };
        Metric {
            page: &mut self.0,
            head: format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
            name: format!("{name}{{"),
        }
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

/// A metric to which samples are added.
pub struct Metric<'a> {
    page: &'a mut String,
    /// What is still to be written before the first sample.
    head: String,
    /// With the brace behind it.
    name: String,
}

impl Metric<'_> {
    /// Adds a sample with these labels, of which there is at least one. No two of a metric
    /// have the same ones.
    pub fn sample(&mut self, labels: &[&Labels], value: impl Value) {
        self.page.push_str(&self.head);
        self.head.clear();
        self.page.push_str(&self.name);
        let mut between = "";
        for labels in labels.iter().filter(|labels| !labels.0.is_empty()) {
            self.page.push_str(between);
            self.page.push_str(&labels.0);
            between = ",";
        }
        self.page.push_str("} ");
        value.push_line(self.page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page() {
        let mut page = Page::default();
        let mut metric = page.metric(Type::Gauge, "pf_states", "How many.");
        let labels = Labels::of("interface", "pfsync0");
        metric.sample(&[&labels, &Labels::default()], u64::MAX);
        metric.sample(&[&Labels::of("interface", "pfsync1")], 10_u32);
        let _none = page.metric(Type::Counter, "none_total", "None.");
        let mut metric = page.metric(Type::Counter, "seen_total", "Seen.");
        let one = Labels::of("interface", "carp0").and("vhid", "1");
        metric.sample(&[&one, &Labels::of("to", "master")], 0_u64);
        metric.sample(&[&one, &Labels::of("to", "backup")], "0.500");
        let expected = "# HELP pf_states How many.\n\
                        # TYPE pf_states gauge\n\
                        pf_states{interface=\"pfsync0\"} 18446744073709551615\n\
                        pf_states{interface=\"pfsync1\"} 10\n\
                        # HELP seen_total Seen.\n\
                        # TYPE seen_total counter\n\
                        seen_total{interface=\"carp0\",vhid=\"1\",to=\"master\"} 0\n\
                        seen_total{interface=\"carp0\",vhid=\"1\",to=\"backup\"} 0.500\n";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn what_a_name_may_contain() {
        let labels = Labels::of("interface", "a\\b\"c\nd{e}=,ü");
        assert_eq!(labels.0, r#"interface="a\\b\"c\nd{e}=,ü""#);
    }
}
