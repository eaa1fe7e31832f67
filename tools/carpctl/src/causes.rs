// SPDX-License-Identifier: GPL-2.0

//! Why groups are demoted: `carpctl demote`, `carpctl undemote`, and the lines below a
//! group's count.

use crate::{
    attributes::Attributes,
    carp_words::check_group,
    contract::family::*,
    error::{usage, Result},
    family::Family,
};
use serde::Serialize;

/// The group that is meant where none is named.
pub const GROUP_DEFAULT: &str = "carp";

/// The most that one cause demotes.
pub const AMOUNT_MAX: u32 = 255;

/// A cause, of CARP_CMD_CAUSE_GET.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    #[serde(skip)]
    pub group: String,
    pub cause: String,
    pub amount: u32,
    /// Seconds since it demotes.
    pub age: u32,
    /// Seconds until it ends by itself.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub left: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The interfaces that brought it upon the group by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<String>,
}

impl Cause {
    pub fn read(answer: Attributes<'_>) -> Option<Self> {
        Some(Self {
            group: answer.text(CARP_A_GROUP)?,
            cause: answer.text(CARP_A_CAUSE)?,
            amount: answer.u32(CARP_A_AMOUNT)?,
            age: answer.u32(CARP_A_AGE).unwrap_or_default(),
            left: answer.u32(CARP_A_FOR),
            reason: answer.text(CARP_A_CAUSE_REASON),
            interfaces: answer.text(CARP_A_IFNAME).into_iter().collect(),
        })
    }

    /// One line below the group's.
    fn line(&self) -> String {
        let mut line = format!(
            "\t{} {} since {}",
            self.cause,
            self.amount,
            duration(self.age)
        );
        if let Some(left) = self.left {
            line += &format!(", for {} more", duration(left));
        }
        if let Some(reason) = &self.reason {
            line += &format!(": {reason}");
        }
        line + "\n"
    }
}

/// Several interfaces may suffer from one link: that is one cause, as old as the first.
pub fn merged(causes: Vec<Cause>) -> Vec<Cause> {
    let mut merged: Vec<Cause> = Vec::new();
    for cause in causes {
        let same = |it: &&mut Cause| it.group == cause.group && it.cause == cause.cause;
        match merged.iter_mut().find(same) {
            Some(known) => {
                known.amount = known.amount.saturating_add(cause.amount);
                known.age = known.age.max(cause.age);
                known.interfaces.extend(cause.interfaces);
            }
            None => merged.push(cause),
        }
    }
    merged
}

pub fn lines(causes: &[Cause]) -> String {
    causes.iter().map(Cause::line).collect()
}

/// "35 s", "12 min 5 s", "3 h 20 min", "2 d 4 h": two units at most.
pub fn duration(seconds: u32) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |first: String, rest: u32, unit: &str| match rest {
        0 => first,
        rest => format!("{first} {rest} {unit}"),
    };
    if days > 0 {
        two(format!("{days} d"), hours % 24, "h")
    } else if hours > 0 {
        two(format!("{hours} h"), minutes % 60, "min")
    } else if minutes > 0 {
        two(format!("{minutes} min"), seconds % 60, "s")
    } else {
        format!("{seconds} s")
    }
}

/// What `demote` says of a cause.
#[derive(clap::Args)]
pub struct Demote {
    /// The cause's name
    name: String,
    /// The group
    #[arg(short, long, value_name = "GROUP", default_value = GROUP_DEFAULT)]
    group: String,
    /// By how much, 1-255
    #[arg(long, value_name = "N", default_value_t = 1)]
    by: u32,
    /// For so many seconds; without it until it is taken back
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u32>,
    /// Why, for those who look
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// What `undemote` says of it.
#[derive(clap::Args)]
pub struct Undemote {
    /// The cause's name
    name: String,
    /// The group
    #[arg(short, long, value_name = "GROUP", default_value = GROUP_DEFAULT)]
    group: String,
}

pub fn demote(words: &Demote) -> Result<()> {
    check_group(&words.group)?;
    if !(1..=AMOUNT_MAX).contains(&words.by) {
        return usage(format!(
            "--by \"{}\": a number of 1-{AMOUNT_MAX} is expected",
            words.by
        ));
    }
    if words.seconds == Some(0) {
        return usage("--for \"0\": a number of seconds is expected");
    }
    Family::open()?
        .set_cause(
            &words.group,
            &words.name,
            words.by,
            words.seconds,
            words.reason.as_deref(),
        )
        .map_err(|error| error.about(&words.group))
}

pub fn undemote(words: &Undemote) -> Result<()> {
    check_group(&words.group)?;
    Family::open()?
        .unset_cause(&words.group, &words.name)
        .map_err(|error| error.about(&words.group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(name: &str, amount: u32, age: u32, interface: Option<&str>) -> Cause {
        Cause {
            group: "carp".into(),
            cause: name.into(),
            amount,
            age,
            left: None,
            reason: None,
            interfaces: interface.into_iter().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn two_interfaces_on_one_link_are_one_cause() {
        let all = merged(vec![
            cause("manual", 50, 5, None),
            cause("link:eth0", 1, 7, Some("carp0")),
            cause("link:eth0", 1, 9, Some("carp1")),
            cause("link:eth1", 1, 3, Some("carp2")),
        ]);
        assert_eq!(
            lines(&all),
            "\tmanual 50 since 5 s\n\tlink:eth0 2 since 9 s\n\tlink:eth1 1 since 3 s\n"
        );
        assert_eq!(all[1].interfaces, ["carp0", "carp1"]);
        let other = Cause {
            group: "x".into(),
            ..cause("manual", 1, 1, None)
        };
        assert_eq!(merged(vec![cause("manual", 1, 1, None), other]).len(), 2);
    }

    #[test]
    fn a_cause_with_an_end_and_a_reason() {
        let cause = Cause {
            left: Some(90),
            reason: Some("connection refused".into()),
            ..cause("check:web", 100, 7200, None)
        };
        assert_eq!(
            lines(std::slice::from_ref(&cause)),
            "\tcheck:web 100 since 2 h, for 1 min 30 s more: connection refused\n"
        );
        assert_eq!(
            serde_json::to_string(&cause).expect("is JSON"),
            r#"{"cause":"check:web","amount":100,"age":7200,"for":90,"reason":"connection refused"}"#
        );
    }

    #[test]
    fn durations_have_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (725, "12 min 5 s"),
            (12000, "3 h 20 min"),
            (187_200, "2 d 4 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
