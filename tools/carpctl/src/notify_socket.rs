// SPDX-License-Identifier: GPL-2.0

//! What a service manager is told, as sd_notify(3) has it.

use std::{
    env,
    ffi::OsString,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// All that was there at the start is done.
pub const READY: &str = "READY=1";
pub const STOPPING: &str = "STOPPING=1";

/// Tells it to the service manager, if one has started this program and wants to know.
pub fn notify(what: &str) -> io::Result<()> {
    match env::var_os("NOTIFY_SOCKET") {
        Some(name) => send(name, what),
        None => Ok(()),
    }
}

fn send(name: OsString, what: &str) -> io::Result<()> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(what.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_sockets() {
        let name = format!("carpctl-notify-{}", std::process::id());
        let path = env::temp_dir().join(&name);
        let address = SocketAddr::from_abstract_name(&name).expect("is one");
        for (manager, name) in [
            (UnixDatagram::bind(&path), path.clone().into_os_string()),
            (UnixDatagram::bind_addr(&address), format!("@{name}").into()),
        ] {
            let manager = manager.expect("can be made");
            send(name, READY).expect("is heard");
            let mut heard = [0; 16];
            let length = manager.recv(&mut heard).expect("was sent");
            assert_eq!(&heard[..length], READY.as_bytes());
        }
        let _ = std::fs::remove_file(path);
    }
}
