// SPDX-License-Identifier: GPL-2.0

//! `carpctl history`: the last changes of each interface, as the kernel keeps them.

use crate::{
    attributes::Attributes,
    contract::{family::*, name, REASONS, STATES},
    error::Result,
    family::Family,
    interface::Route,
    output::Output,
    status::table,
};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A change of state, of CARP_CMD_HISTORY_GET.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Seconds since 1970, by this host's clock as it goes now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<f64>,
    #[serde(skip)]
    ago: Duration,
    pub ifname: String,
    pub vhid: u8,
    pub old_state: String,
    pub state: String,
    pub reason: String,
    pub demote: u32,
}

impl Change {
    pub fn read(answer: Attributes<'_>) -> Option<Self> {
        Some(Self {
            time: None,
            ago: Duration::from_nanos(answer.u64(CARP_A_AGO)?),
            ifname: answer.text(CARP_A_IFNAME)?,
            vhid: answer.u8(CARP_A_VHID)?,
            old_state: name(STATES, answer.u8(CARP_A_OLD_STATE)?),
            state: name(STATES, answer.u8(CARP_A_STATE)?),
            reason: name(REASONS, answer.u8(CARP_A_REASON)?),
            demote: answer.u32(CARP_A_DEMOTE).unwrap_or_default(),
        })
    }

    fn row(&self) -> [String; 7] {
        [
            date(self.time.unwrap_or_default()),
            self.ifname.clone(),
            self.vhid.to_string(),
            self.old_state.to_uppercase(),
            self.state.to_uppercase(),
            self.demote.to_string(),
            self.reason.replace('_', " "),
        ]
    }
}

/// A time in UTC, with milliseconds.
fn date(time: f64) -> String {
    let time = UNIX_EPOCH + Duration::from_secs_f64(time);
    humantime::format_rfc3339_millis(time).to_string()
}

/// Of one interface, or of all; the newest comes last.
pub fn history(output: &mut Output, json: bool, interface: Option<&str>) -> Result<()> {
    let only = interface
        .map(|name| Route::open()?.ours_by_name(name).map(|it| it.index))
        .transpose()?;
    let mut changes = Family::open()?.history(only)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    for change in &mut changes {
        change.time = Some(now.saturating_sub(change.ago).as_secs_f64());
    }
    changes.sort_by(|a, b| b.ago.cmp(&a.ago));
    if json {
        return output.json(&changes);
    }
    let head = [
        "TIME",
        "INTERFACE",
        "VHID",
        "FROM",
        "TO",
        "DEMOTE",
        "REASON",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(changes.iter().map(Change::row));
    output.text(&table(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{bytes, emit, text, u32, u8};

    #[test]
    fn a_change() {
        let data = emit(&[
            u32(CARP_A_IFINDEX, 7),
            text(CARP_A_IFNAME, "carp0"),
            u8(CARP_A_VHID, 1),
            u8(CARP_A_OLD_STATE, 1),
            u8(CARP_A_STATE, 2),
            u8(CARP_A_REASON, 4),
            u32(CARP_A_DEMOTE, 3),
            bytes(CARP_A_AGO, &1_500_000_000_u64.to_ne_bytes()),
        ]);
        let mut change = Change::read(Attributes::new(&data)).expect("is whole");
        assert_eq!(change.ago, Duration::from_millis(1500));
        change.time = Some(951_782_400.25);
        assert_eq!(
            change.row(),
            [
                "2000-02-29T00:00:00.250Z",
                "carp0",
                "1",
                "BACKUP",
                "MASTER",
                "3",
                "master timed out"
            ]
        );
        assert_eq!(
            serde_json::to_string(&change).expect("is JSON"),
            r#"{"time":951782400.25,"ifname":"carp0","vhid":1,"old_state":"backup","state":"master","reason":"master_timed_out","demote":3}"#
        );
        assert_eq!(Change::read(Attributes::new(&data[..8])), None);
    }
}
