// SPDX-License-Identifier: GPL-2.0

//! The generic netlink families "carp", of virtual hosts, groups, counters and events, and
//! "pfsync", of states and peers.

use crate::{
    attributes::{emit, i32, text, u32, Attributes},
    carp_peers::CarpPeer,
    causes::{merged, Cause},
    contract::{
        family::*,
        name,
        peers::PFSYNC_CMD_PEER_GET,
        states::{PFSYNC_CMD_STATE_GET, PFSYNC_GENL_NAME},
        COUNTERS, REASONS, STATES,
    },
    controller::{self, GENL_ID_CTRL},
    counters::{Counters, InterfaceCounters},
    error::{failed, Error, Result},
    history::Change,
    peers::Peer,
    socket::{Heard, Netlink, Raw, ENOENT, EOPNOTSUPP},
    states::State,
    transition_counts::TransitionCounts,
};
use netlink_packet_core::{DefaultNla, Emitable};
use netlink_packet_generic::{
    ctrl::{
        nlas::{GenlCtrlAttrs, McastGrpAttrs},
        GenlCtrl, GenlCtrlCmd,
    },
    GenlHeader, GenlMessage,
};
use netlink_sys::protocols::NETLINK_GENERIC;
use serde::{Serialize, Serializer};
use std::{
    fmt,
    os::fd::{AsFd, BorrowedFd},
};

/// Of linux/genetlink.h.
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

/// A virtual host, of CARP_CMD_VHOST_GET.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VirtualHost {
    pub ifname: String,
    pub ifindex: u32,
    pub vhid: u8,
    pub state: String,
    pub advbase: u8,
    pub advskew: u8,
    pub demote: u32,
    /// Whether advertisements came in lately whose digest differs.
    #[serde(skip)]
    pub digest_differs: bool,
    /// The parent, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carpdev: Option<Carpdev>,
}

/// The parent of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carpdev {
    /// By its name.
    Here(String),
    /// It has gone, and is waited for.
    Gone(String),
    /// By its index in another network namespace.
    Elsewhere(u32),
}

impl Carpdev {
    fn read(answer: Attributes<'_>) -> Option<Self> {
        let index = answer.u32(CARP_A_CARPDEV).filter(|index| *index != 0);
        let is_elsewhere = answer.has(CARP_A_CARPDEV_NETNSID);
        match (index, answer.text(CARP_A_CARPDEV_NAME)) {
            (Some(_), Some(name)) if !is_elsewhere => Some(Self::Here(name)),
            (Some(index), _) => Some(Self::Elsewhere(index)),
            (None, name) => name.map(Self::Gone),
        }
    }

    /// As it was called while it was there.
    pub fn name(&self) -> String {
        match self {
            Self::Here(name) | Self::Gone(name) => name.clone(),
            Self::Elsewhere(index) => format!("if{index}"),
        }
    }
}

impl fmt::Display for Carpdev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(name) => f.write_str(name),
            Self::Gone(name) => write!(f, "{name} (gone)"),
            Self::Elsewhere(index) => write!(f, "if{index}"),
        }
    }
}

impl Serialize for Carpdev {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl VirtualHost {
    fn read(answer: Attributes<'_>) -> Option<Self> {
        Some(Self {
            ifname: answer.text(CARP_A_IFNAME)?,
            ifindex: answer.u32(CARP_A_IFINDEX)?,
            vhid: answer.u8(CARP_A_VHID)?,
            state: name(STATES, answer.u8(CARP_A_STATE)?),
            advbase: answer.u8(CARP_A_ADVBASE).unwrap_or_default(),
            advskew: answer.u8(CARP_A_ADVSKEW).unwrap_or_default(),
            demote: answer.u32(CARP_A_DEMOTE).unwrap_or_default(),
            digest_differs: answer.has(CARP_A_DIGEST_DIFFERS),
            carpdev: Carpdev::read(answer),
        })
    }
}

#[cfg(test)]
impl VirtualHost {
    pub fn of_test(ifname: &str, vhid: u8, state: &str) -> Self {
        Self {
            ifname: ifname.into(),
            ifindex: 7,
            vhid,
            state: state.into(),
            advbase: 1,
            advskew: 100,
            demote: 0,
            digest_differs: false,
            carpdev: Some(Carpdev::Here("eth0".into())),
        }
    }
}

/// A group, of CARP_CMD_GROUP_GET.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    pub group: String,
    pub demote: u32,
    /// Its members' indexes.
    pub members: Vec<u32>,
    /// What its count is made up of; [`Family::causes`].
    pub causes: Vec<Cause>,
}

impl Group {
    fn read(answer: Attributes<'_>) -> Option<Self> {
        Some(Self {
            group: answer.text(CARP_A_GROUP)?,
            demote: answer.u32(CARP_A_DEMOTE).unwrap_or_default(),
            members: answer
                .all(CARP_A_MEMBER)
                .filter_map(|index| Some(u32::from_ne_bytes(index.try_into().ok()?)))
                .collect(),
            causes: Vec::new(),
        })
    }
}

impl Group {
    /// Takes those that are its own.
    fn add(&mut self, causes: &[Cause]) {
        let own = causes.iter().filter(|cause| cause.group == self.group);
        self.causes = own.cloned().collect();
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    State {
        ifname: String,
        ifindex: u32,
        vhid: u8,
        old_state: String,
        state: String,
        reason: String,
        demote: u32,
    },
    Demote {
        group: String,
        demote: u32,
        step: i32,
        cause: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        cause_reason: Option<String>,
    },
    /// An interface has lost its parent, or has it again with an index.
    Carpdev {
        ifname: String,
        ifindex: u32,
        carpdev: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        carpdev_ifindex: Option<u32>,
    },
    /// The kernel had more to say than there was room for.
    Lost,
}

impl Event {
    /// Nothing: an event of another kind.
    fn read(body: &[u8]) -> Option<Self> {
        let header = GenlHeader::parse(body).ok()?;
        let said = Attributes::new(body.get(header.buffer_len()..)?);
        match header.cmd {
            CARP_CMD_STATE_NTF => Some(Self::State {
                ifname: said.text(CARP_A_IFNAME)?,
                ifindex: said.u32(CARP_A_IFINDEX)?,
                vhid: said.u8(CARP_A_VHID)?,
                old_state: name(STATES, said.u8(CARP_A_OLD_STATE)?),
                state: name(STATES, said.u8(CARP_A_STATE)?),
                reason: name(REASONS, said.u8(CARP_A_REASON)?),
                demote: said.u32(CARP_A_DEMOTE).unwrap_or_default(),
            }),
            CARP_CMD_DEMOTE_NTF => Some(Self::Demote {
                group: said.text(CARP_A_GROUP)?,
                demote: said.u32(CARP_A_DEMOTE)?,
                step: said.i32(CARP_A_STEP).unwrap_or_default(),
                cause: said.text(CARP_A_CAUSE).unwrap_or_default(),
                cause_reason: said.text(CARP_A_CAUSE_REASON),
            }),
            CARP_CMD_CARPDEV_NTF => Some(Self::Carpdev {
                ifname: said.text(CARP_A_IFNAME)?,
                ifindex: said.u32(CARP_A_IFINDEX)?,
                carpdev: said.text(CARP_A_CARPDEV_NAME)?,
                carpdev_ifindex: said.u32(CARP_A_CARPDEV),
            }),
            _ => None,
        }
    }
}

/// A connection to the family.
pub struct Family {
    netlink: Netlink,
    id: u16,
    events: Option<u32>,
}

impl Family {
    /// "carp".
    pub fn open() -> Result<Self> {
        Self::named(CARP_GENL_NAME)
    }

    /// "pfsync".
    pub fn open_pfsync() -> Result<Self> {
        Self::named(PFSYNC_GENL_NAME)
    }

    fn named(name: &str) -> Result<Self> {
        let mut netlink = Netlink::open(NETLINK_GENERIC)?;
        let question = GenlMessage::from_payload(GenlCtrl {
            cmd: GenlCtrlCmd::GetFamily,
            nlas: vec![GenlCtrlAttrs::FamilyName(name.to_owned())],
        });
        let mut body = vec![0; question.buffer_len()];
        question.emit(&mut body);
        let answers = match netlink.request(GENL_ID_CTRL, 0, &body) {
            Err(Error::Kernel { code: ENOENT, .. }) => {
                return failed(format!(
                    "the kernel has no generic netlink family \"{name}\": carp.ko is not loaded, or too old"
                ));
            }
            answers => answers?,
        };
        let told = answers.first().map(|answer| &answer.body[..]);
        Self::told_of(name, netlink, told.unwrap_or_default())
    }

    /// "carp", if carp.ko is loaded. To ask for a family by its name would load it.
    pub fn open_loaded() -> Result<Option<Self>> {
        let mut netlink = Netlink::open(NETLINK_GENERIC)?;
        let header = GenlHeader {
            cmd: GenlCtrlCmd::GetFamily.into(),
            version: 1,
        };
        let mut body = vec![0; header.buffer_len()];
        header.emit(&mut body);
        let is_ours = |body: &[u8]| {
            let name = said(body).text(CTRL_ATTR_FAMILY_NAME);
            (name.as_deref() == Some(CARP_GENL_NAME)).then(|| body.to_vec())
        };
        let found = netlink.dump_with(GENL_ID_CTRL, &body, is_ours)?;
        let told = found.first();
        told.map(|told| Self::told_of(CARP_GENL_NAME, netlink, told))
            .transpose()
    }

    /// By what the controller told of it.
    fn told_of(name: &str, netlink: Netlink, told: &[u8]) -> Result<Self> {
        let told = controller::attributes(told);
        let id = told.iter().find_map(|attribute| match attribute {
            GenlCtrlAttrs::FamilyId(id) => Some(*id),
            _ => None,
        });
        let Some(id) = id else {
            return failed(format!(
                "the kernel gave no number of the generic netlink family \"{name}\""
            ));
        };
        let groups = told.iter().filter_map(|attribute| match attribute {
            GenlCtrlAttrs::McastGroups(groups) => Some(groups),
            _ => None,
        });
        let events = groups.flatten().find_map(|group| events_group(group));
        Ok(Self {
            netlink,
            id,
            events,
        })
    }

    fn body(command: u8, attributes: &[DefaultNla]) -> Vec<u8> {
        let header = GenlHeader {
            cmd: command,
            version: CARP_GENL_VERSION,
        };
        let mut body = vec![0; header.buffer_len()];
        header.emit(&mut body);
        body.extend(emit(attributes));
        body
    }

    fn ask(&mut self, command: u8, attributes: &[DefaultNla]) -> Result<Vec<Raw>> {
        self.netlink
            .request(self.id, 0, &Self::body(command, attributes))
    }

    /// Whatever of a dump can be read.
    fn list<T>(&mut self, command: u8, read: fn(Attributes<'_>) -> Option<T>) -> Result<Vec<T>> {
        self.list_of(command, &[], read)
    }

    /// The same of what some attributes name.
    fn list_of<T>(
        &mut self,
        command: u8,
        wanted: &[DefaultNla],
        read: fn(Attributes<'_>) -> Option<T>,
    ) -> Result<Vec<T>> {
        let read = |body: &[u8]| read(said(body));
        self.netlink
            .dump_with(self.id, &Self::body(command, wanted), read)
    }

    /// Nothing, where the kernel does not know of such a list.
    fn list_if_known<T>(
        &mut self,
        command: u8,
        read: fn(Attributes<'_>) -> Option<T>,
    ) -> Result<Vec<T>> {
        match self.list(command, read) {
            Err(Error::Kernel {
                code: EOPNOTSUPP, ..
            }) => Ok(Vec::new()),
            list => list,
        }
    }

    /// What pfsync knows of.
    pub fn states(&mut self) -> Result<Vec<State>> {
        self.list(PFSYNC_CMD_STATE_GET, State::read)
    }

    /// How often the virtual hosts have changed their states.
    pub fn transition_counts(&mut self) -> Result<Vec<TransitionCounts>> {
        self.list(CARP_CMD_TRANSITION_GET, TransitionCounts::read)
    }

    /// Who else advertises the virtual hosts.
    pub fn carp_peers(&mut self) -> Result<Vec<CarpPeer>> {
        self.list(CARP_CMD_PEER_GET, CarpPeer::read)
    }

    /// Whom pfsync has heard.
    pub fn peers(&mut self) -> Result<Vec<Peer>> {
        self.list(PFSYNC_CMD_PEER_GET, Peer::read)
    }

    pub fn virtual_hosts(&mut self) -> Result<Vec<VirtualHost>> {
        self.list(CARP_CMD_VHOST_GET, VirtualHost::read)
    }

    /// None, where the kernel knows of virtual hosts but not of groups.
    pub fn groups(&mut self) -> Result<Vec<Group>> {
        let mut groups = joined(self.list_if_known(CARP_CMD_GROUP_GET, Group::read)?);
        let causes = self.causes()?;
        for group in &mut groups {
            group.add(&causes);
        }
        Ok(groups)
    }

    /// What groups are demoted for; nothing, where the kernel knows of no causes.
    fn causes(&mut self) -> Result<Vec<Cause>> {
        Ok(merged(self.list_if_known(CARP_CMD_CAUSE_GET, Cause::read)?))
    }

    /// The last changes of all interfaces, or of one.
    pub fn history(&mut self, ifindex: Option<u32>) -> Result<Vec<Change>> {
        let wanted: Vec<_> = ifindex
            .map(|it| u32(CARP_A_IFINDEX, it))
            .into_iter()
            .collect();
        self.list_of(CARP_CMD_HISTORY_GET, &wanted, Change::read)
    }

    pub fn group(&mut self, name: &str) -> Result<Group> {
        let answers = self.ask(CARP_CMD_GROUP_GET, &[text(CARP_A_GROUP, name)])?;
        let causes = self.causes()?;
        match answers.iter().find_map(|it| Group::read(said(&it.body))) {
            Some(mut group) => {
                group.add(&causes);
                Ok(group)
            }
            None => failed(format!("the kernel told nothing of group {name}")),
        }
    }

    pub fn demote(&mut self, group: &str, step: i32) -> Result<()> {
        let words = [text(CARP_A_GROUP, group), i32(CARP_A_STEP, step)];
        self.ask(CARP_CMD_GROUP_DEMOTE, &words)?;
        Ok(())
    }

    pub fn set_cause(
        &mut self,
        group: &str,
        name: &str,
        amount: u32,
        seconds: Option<u32>,
        reason: Option<&str>,
    ) -> Result<()> {
        let mut words = vec![
            text(CARP_A_GROUP, group),
            text(CARP_A_CAUSE, name),
            u32(CARP_A_AMOUNT, amount),
        ];
        words.extend(seconds.map(|seconds| u32(CARP_A_FOR, seconds)));
        words.extend(reason.map(|reason| text(CARP_A_CAUSE_REASON, reason)));
        self.ask(CARP_CMD_CAUSE_SET, &words)?;
        Ok(())
    }

    pub fn unset_cause(&mut self, group: &str, name: &str) -> Result<()> {
        let words = [text(CARP_A_GROUP, group), text(CARP_A_CAUSE, name)];
        self.ask(CARP_CMD_CAUSE_DEL, &words)?;
        Ok(())
    }

    /// The counters of the whole network namespace.
    pub fn counters(&mut self) -> Result<Counters> {
        let answers = self.ask(CARP_CMD_STATS_GET, &[])?;
        let nest = answers
            .iter()
            .find_map(|answer| said(&answer.body).nest(CARP_A_STATS));
        Ok(nest
            .map(|nest| Counters::read(nest, COUNTERS))
            .unwrap_or_default())
    }

    /// Those of each carp interface, without those that are 0.
    pub fn interface_counters(&mut self) -> Result<Vec<InterfaceCounters>> {
        self.list_if_known(CARP_CMD_STATS_GET, InterfaceCounters::read)
    }

    pub fn listen(&self) -> Result<()> {
        match self.events {
            Some(group) => self.netlink.listen(group),
            None => failed("carp.ko tells of no events"),
        }
    }

    /// Waits for events.
    pub fn hear(&self) -> Result<Vec<Event>> {
        let heard = self.netlink.hear()?;
        Ok(heard
            .into_iter()
            .filter_map(|heard| match heard {
                Heard::Message(raw) if raw.kind == self.id => Event::read(&raw.body),
                Heard::Message(_) => None,
                Heard::Lost => Some(Event::Lost),
            })
            .collect())
    }
}

impl AsFd for Family {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netlink.as_fd()
    }
}

/// A group with many members comes in several messages.
fn joined(groups: Vec<Group>) -> Vec<Group> {
    let mut joined: Vec<Group> = Vec::new();
    for group in groups {
        match joined.last_mut() {
            Some(last) if last.group == group.group => last.members.extend(group.members),
            _ => joined.push(group),
        }
    }
    joined
}

/// The attributes behind the header of generic netlink.
fn said(body: &[u8]) -> Attributes<'_> {
    Attributes::new(body.get(4..).unwrap_or_default())
}

fn events_group(group: &[McastGrpAttrs]) -> Option<u32> {
    if !group.contains(&McastGrpAttrs::Name(CARP_GENL_MCGRP_EVENTS.to_owned())) {
        return None;
    }
    group.iter().find_map(|attribute| match attribute {
        McastGrpAttrs::Id(id) => Some(*id),
        McastGrpAttrs::Name(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::u8;

    #[test]
    fn a_virtual_host() {
        let data = emit(&[
            u32(CARP_A_IFINDEX, 7),
            text(CARP_A_IFNAME, "carp0"),
            u8(CARP_A_VHID, 1),
            u8(CARP_A_STATE, 2),
            u8(CARP_A_ADVBASE, 1),
            u8(CARP_A_ADVSKEW, 100),
            u32(CARP_A_DEMOTE, 3),
            u32(CARP_A_CARPDEV, 2),
            text(CARP_A_CARPDEV_NAME, "eth0"),
        ]);
        let host = VirtualHost::read(Attributes::new(&data)).expect("is whole");
        assert_eq!(
            (host.vhid, &*host.state, host.demote, host.digest_differs),
            (1, "master", 3, false)
        );
        assert_eq!(
            serde_json::to_string(&host).expect("is JSON"),
            r#"{"ifname":"carp0","ifindex":7,"vhid":1,"state":"master","advbase":1,"advskew":100,"demote":3,"carpdev":"eth0"}"#
        );
        assert_eq!(VirtualHost::read(Attributes::new(&data[..8])), None);
    }

    #[test]
    fn parents() {
        let index = u32(CARP_A_CARPDEV, 2);
        let name = text(CARP_A_CARPDEV_NAME, "eth0");
        let elsewhere = i32(CARP_A_CARPDEV_NETNSID, 0);
        for (attributes, shown) in [
            (vec![], None),
            (vec![name.clone()], Some("eth0 (gone)")),
            (vec![name.clone(), elsewhere.clone()], Some("eth0 (gone)")),
            (vec![index.clone(), name.clone()], Some("eth0")),
            (vec![index.clone(), name, elsewhere], Some("if2")),
            (vec![index], Some("if2")),
        ] {
            let carpdev = Carpdev::read(Attributes::new(&emit(&attributes)));
            let carpdev = carpdev.map(|it| it.to_string());
            assert_eq!(carpdev.as_deref(), shown);
        }
    }

    #[test]
    fn a_group() {
        let data = emit(&[
            text(CARP_A_GROUP, "carp"),
            u32(CARP_A_DEMOTE, 50),
            u32(CARP_A_MEMBER, 7),
            u32(CARP_A_MEMBER, 9),
        ]);
        let group = Group::read(Attributes::new(&data)).expect("is whole");
        assert_eq!(
            group,
            Group {
                group: "carp".into(),
                demote: 50,
                members: vec![7, 9],
                causes: vec![]
            }
        );
    }

    #[test]
    fn a_group_in_several_messages() {
        let part = |group: &str, members: &[u32]| Group {
            group: group.into(),
            demote: 1,
            members: members.to_vec(),
            causes: vec![],
        };
        let parts = vec![part("carp", &[7, 8]), part("carp", &[9]), part("in", &[7])];
        let whole = [part("carp", &[7, 8, 9]), part("in", &[7])];
        assert_eq!(joined(parts), whole);
    }

    #[test]
    fn events() {
        let state = [
            u32(CARP_A_IFINDEX, 7),
            text(CARP_A_IFNAME, "carp0"),
            u8(CARP_A_VHID, 1),
            u8(CARP_A_OLD_STATE, 1),
            u8(CARP_A_STATE, 2),
            u8(CARP_A_REASON, 4),
            u32(CARP_A_DEMOTE, 0),
        ];
        let event = Event::read(&Family::body(CARP_CMD_STATE_NTF, &state)).expect("is one");
        assert_eq!(
            serde_json::to_string(&event).expect("is JSON"),
            r#"{"event":"state","ifname":"carp0","ifindex":7,"vhid":1,"old_state":"backup","state":"master","reason":"master_timed_out","demote":0}"#
        );
        let demote = [
            text(CARP_A_GROUP, "carp"),
            u32(CARP_A_DEMOTE, 1),
            i32(CARP_A_STEP, -2),
            text(CARP_A_CAUSE, "link:eth0"),
        ];
        let event = Event::read(&Family::body(CARP_CMD_DEMOTE_NTF, &demote)).expect("is one");
        assert_eq!(
            serde_json::to_string(&event).expect("is JSON"),
            r#"{"event":"demote","group":"carp","demote":1,"step":-2,"cause":"link:eth0"}"#
        );
        assert_eq!(Event::read(&Family::body(99, &demote)), None);
        assert_eq!(Event::read(&[]), None);
    }

    #[test]
    fn the_controllers_answer() {
        let group =
            |name: &str, id| vec![McastGrpAttrs::Name(name.to_owned()), McastGrpAttrs::Id(id)];
        assert_eq!(events_group(&group("events", 9)), Some(9));
        assert_eq!(events_group(&group("others", 9)), None);
    }
}
