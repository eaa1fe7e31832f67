// SPDX-License-Identifier: GPL-2.0

//! `carpctl maintenance`: this host hands over, and stays behind the others until it is told
//! otherwise, also after a reboot.

use crate::{
    error::{failed, Error, Result},
    family::{Family, VirtualHost},
    interface::Route,
    kind::Kind,
    output::{warn, Output},
    socket::ENOENT,
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write},
    path::Path,
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// What says that it lasts.
const FILE: &str = "/var/lib/carp/maintenance";

/// The name of the cause, and by how much it demotes: more than checks do, and less than
/// the most, so that of two hosts in maintenance the better one is still known.
const CAUSE: &str = "maintenance";
const AMOUNT: u32 = 200;

/// The group that automatic demotion leaves alone.
const GROUP_ALL: &str = "all";

/// Between two looks whether another host has taken over.
const LOOK: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub struct Words {
    #[command(subcommand)]
    change: Option<Change>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Change {
    /// Hand over, and stay behind other hosts
    On {
        /// Why, for those who look
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// How long another host may take to take over
        #[arg(long, value_name = "SECONDS", default_value_t = 30,
              value_parser = clap::value_parser!(u32).range(..=86400))]
        wait: u32,
        /// Begin even if no other host takes over, or has all connections
        #[arg(long)]
        force: bool,
    },
    /// Compete with other hosts again
    Off,
}

/// What is known of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Maintenance {
    /// Seconds since 1970.
    since: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Maintenance {
    /// Nothing, if there is none.
    fn read(path: &Path) -> Result<Option<Self>> {
        match fs::read(path) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(maintenance) => Ok(Some(maintenance)),
                Err(error) => failed(format!("{}: {error}", path.display())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => failed(format!("{}: {error}", path.display())),
        }
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let new = path.with_extension("new");
        let mut file = fs::File::create(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(new, path)
    }
}

pub fn maintenance(output: &mut Output, words: &Words) -> Result<()> {
    let path = Path::new(FILE);
    match &words.change {
        None => show(output, words.json, path),
        Some(Change::On {
            reason,
            wait,
            force,
        }) => begin(
            path,
            reason.as_deref(),
            Duration::from_secs((*wait).into()),
            *force,
        ),
        Some(Change::Off) => end(path),
    }
}

/// Brings back what a reboot has forgotten; for netstart.
pub fn restore() {
    let restored = Maintenance::read(Path::new(FILE)).and_then(|maintenance| match maintenance {
        Some(maintenance) => demote(&mut Family::open()?, maintenance.reason.as_deref()),
        None => Ok(()),
    });
    if let Err(error) = restored {
        warn(&format!("maintenance: {error}"));
    }
}

fn groups(family: &mut Family) -> Result<Vec<String>> {
    let groups = family.groups()?.into_iter().map(|group| group.group);
    Ok(groups.filter(|group| group != GROUP_ALL).collect())
}

fn demote(family: &mut Family, reason: Option<&str>) -> Result<()> {
    for group in groups(family)? {
        family.set_cause(&group, CAUSE, AMOUNT, None, reason)?;
    }
    Ok(())
}

/// Takes it back everywhere. Returns whether it was there.
fn relieve(family: &mut Family) -> Result<bool> {
    let mut was = false;
    for group in groups(family)? {
        match family.unset_cause(&group, CAUSE) {
            Ok(()) => was = true,
            Err(Error::Kernel { code: ENOENT, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(was)
}

fn begin(path: &Path, reason: Option<&str>, wait: Duration, force: bool) -> Result<()> {
    let until = Instant::now() + wait;
    let mut family = Family::open()?;
    if let Some(begun) = Maintenance::read(path)? {
        // Another reason, or groups that are new.
        demote(&mut family, reason)?;
        return keep(path, begun.since, reason);
    }
    let mut obstacle = wait_confirmed(until)?;
    if obstacle.is_none() || force {
        demote(&mut family, reason)?;
        let masters = wait_backup(&mut family, until)?;
        obstacle = obstacle.or_else(|| still_master(&masters));
    }
    if let (Some(obstacle), false) = (obstacle, force) {
        relieve(&mut family)?;
        return failed(format!(
            "{obstacle}; maintenance did not begin (--force begins it all the same)"
        ));
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    keep(path, since.unwrap_or_default().as_secs_f64(), reason)
}

fn keep(path: &Path, since: f64, reason: Option<&str>) -> Result<()> {
    let maintenance = Maintenance {
        since,
        reason: reason.map(str::to_owned),
    };
    maintenance
        .write(path)
        .or_else(|error| failed(format!("it will end with a reboot: {FILE}: {error}")))
}

/// Waits until peers have all connections of this host. Returns what is missing.
fn wait_confirmed(until: Instant) -> Result<Option<String>> {
    loop {
        let waiting = Route::open()?
            .all(Kind::Pfsync)?
            .into_iter()
            .find_map(|it| Some((it.name, it.pfsync?.unconfirmed)).filter(|(_, n)| *n != 0));
        match waiting {
            None => return Ok(None),
            Some((name, number)) if Instant::now() >= until => {
                return Ok(Some(format!(
                    "{name} has {number} states that no peer has confirmed"
                )));
            }
            Some(_) => sleep(LOOK),
        }
    }
}

/// Waits until others are masters. Returns the virtual hosts for which this host still is.
fn wait_backup(family: &mut Family, until: Instant) -> Result<Vec<VirtualHost>> {
    loop {
        let mut hosts = family.virtual_hosts()?;
        hosts.retain(|host| host.state == "master");
        if hosts.is_empty() || Instant::now() >= until {
            return Ok(hosts);
        }
        sleep(LOOK);
    }
}

fn still_master(hosts: &[VirtualHost]) -> Option<String> {
    let names: Vec<_> = hosts
        .iter()
        .map(|host| format!("{} vhid {}", host.ifname, host.vhid))
        .collect();
    match names.len() {
        0 => None,
        _ => Some(format!("no other host has taken over {}", names.join(", "))),
    }
}

fn end(path: &Path) -> Result<()> {
    let was_written = match fs::remove_file(path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return failed(format!("{}: {error}", path.display())),
    };
    let was_demoted = relieve(&mut Family::open()?)?;
    if was_written || was_demoted {
        return Ok(());
    }
    failed("this host is not in maintenance")
}

#[derive(Serialize)]
struct Shown {
    maintenance: Option<Maintenance>,
    virtual_hosts: Vec<VirtualHost>,
}

fn show(output: &mut Output, json: bool, path: &Path) -> Result<()> {
    let shown = Shown {
        maintenance: Maintenance::read(path)?,
        virtual_hosts: Family::open()?.virtual_hosts()?,
    };
    match json {
        true => output.json(&shown),
        false => output.text(&text(&shown)),
    }
}

fn text(shown: &Shown) -> String {
    let mut text = match &shown.maintenance {
        None => "not in maintenance\n".to_owned(),
        Some(Maintenance { since, reason }) => {
            let since = UNIX_EPOCH + Duration::from_secs_f64(since.max(0.0));
            let since = humantime::format_rfc3339_seconds(since);
            let reason = reason.as_ref().map(|it| format!(": {it}"));
            format!(
                "in maintenance since {since}{}\n",
                reason.unwrap_or_default()
            )
        }
    };
    for host in &shown.virtual_hosts {
        let state = host.state.to_uppercase();
        text += &format!("{} vhid {}: {state}\n", host.ifname, host.vhid);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_outlives_the_process() {
        let folder = std::env::temp_dir().join(format!("maintenance-{}", std::process::id()));
        let path = folder.join("carp/maintenance");
        assert_eq!(Maintenance::read(&path), Ok(None));
        let maintenance = Maintenance {
            since: 1.5,
            reason: Some("new disks".into()),
        };
        maintenance.write(&path).expect("can be written");
        assert_eq!(Maintenance::read(&path), Ok(Some(maintenance)));
        fs::write(&path, "half a fi").expect("can be written");
        let error = Maintenance::read(&path).expect_err("is none");
        assert!(error.to_string().contains("carp/maintenance"));
        fs::remove_dir_all(folder).expect("was made");
    }

    #[test]
    fn what_is_shown() {
        let host = VirtualHost::of_test("carp0", 1, "backup");
        let mut shown = Shown {
            maintenance: None,
            virtual_hosts: vec![host],
        };
        assert_eq!(text(&shown), "not in maintenance\ncarp0 vhid 1: BACKUP\n");
        shown.maintenance = Some(Maintenance {
            since: 951_782_400.0,
            reason: Some("new disks".into()),
        });
        assert_eq!(
            text(&shown),
            "in maintenance since 2000-02-29T00:00:00Z: new disks\ncarp0 vhid 1: BACKUP\n"
        );
        assert_eq!(
            still_master(&shown.virtual_hosts),
            Some("no other host has taken over carp0 vhid 1".into())
        );
        assert_eq!(still_master(&[]), None);
    }
}
