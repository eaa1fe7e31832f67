// SPDX-License-Identifier: GPL-2.0

//! What daemons of one thread have in common: they wait for signals, the kernel and their
//! children at once.

use crate::{
    contract::family::CARP_GENL_NAME,
    controller::{Controller, Registration},
    error::{Error, Result},
    family::Family,
    notify_socket::notify,
    output::report,
};
use rustix::{
    event::{poll, PollFd, PollFlags, Timespec},
    io::Errno,
};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM},
    low_level::pipe,
};
use std::{
    io::Read,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    time::Instant,
};

/// A signal that was sent, or was not, as bytes in a socket.
pub struct Signal(UnixStream);

impl Signal {
    fn catch(signals: &[i32]) -> Result<Self> {
        let (receiver, sender) = UnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        for signal in signals {
            pipe::register(*signal, sender.try_clone()?)?;
        }
        Ok(Self(receiver))
    }

    /// Somebody wants this program to end.
    pub fn end() -> Result<Self> {
        Self::catch(&[SIGTERM, SIGINT])
    }

    /// A child has ended.
    pub fn child() -> Result<Self> {
        Self::catch(&[SIGCHLD])
    }

    /// Files are to be read again.
    pub fn reload() -> Result<Self> {
        Self::catch(&[SIGHUP])
    }

    /// Takes what has come.
    pub fn drain(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.0).read(&mut bytes), Ok(1..)) {}
    }
}

impl AsFd for Signal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until one of them can be read, and returns which.
pub fn wait_readable<const N: usize>(
    sources: [&dyn AsFd; N],
    until: Option<Instant>,
) -> Result<[bool; N]> {
    let mut polled = sources.map(|source| PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN));
    wait(&mut polled, until)?;
    Ok(polled.map(|it| !it.revents().is_empty()))
}

/// The same of some, and of any number of others.
pub fn wait_readable_and<const N: usize>(
    sources: [&dyn AsFd; N],
    others: &[BorrowedFd<'_>],
    until: Option<Instant>,
) -> Result<([bool; N], Vec<bool>)> {
    let some = sources.iter().map(|source| source.as_fd());
    let all = some.chain(others.iter().copied());
    let mut polled: Vec<_> = all
        .map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN))
        .collect();
    wait(&mut polled, until)?;
    let mut readable = polled.iter().map(|it| !it.revents().is_empty());
    let some = std::array::from_fn(|_| readable.next().unwrap_or_default());
    Ok((some, readable.collect()))
}

fn wait(polled: &mut [PollFd<'_>], until: Option<Instant>) -> Result<()> {
    let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
    // what no timespec has room for is for ever
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(polled, timeout.as_ref()) {
        Ok(_) => Ok(()),
        Err(Errno::INTR) => {
            polled.iter_mut().for_each(PollFd::clear_revents);
            Ok(())
        }
        Err(error) => Err(std::io::Error::from(error).into()),
    }
}

/// Tells the service manager. One that does not hear it will notice.
pub fn tell_manager(what: &str) {
    if let Err(error) = notify(what) {
        report(&Error::from(error).about("NOTIFY_SOCKET").to_string());
    }
}

/// A connection to carp.ko.
pub struct Kernel {
    pub events: Family,
    pub requests: Family,
}

impl Kernel {
    fn open() -> Result<Self> {
        let kernel = Self {
            events: Family::open()?,
            requests: Family::open()?,
        };
        kernel.events.listen()?;
        Ok(kernel)
    }
}

/// carp.ko, which comes and goes.
pub struct Module {
    controller: Controller,
    /// Nothing while it is not loaded.
    pub kernel: Option<Kernel>,
    /// What is said of that: what begins later.
    later: &'static str,
}

impl Module {
    pub fn connect(later: &'static str) -> Result<Self> {
        let mut module = Self {
            // first, lest it comes unnoticed
            controller: Controller::listen()?,
            kernel: None,
            later,
        };
        module.open();
        Ok(module)
    }

    /// Returns whether there is a new connection.
    fn open(&mut self) -> bool {
        match Kernel::open() {
            Ok(kernel) => {
                self.kernel = Some(kernel);
                true
            }
            Err(error) => {
                report(&format!("{error}; {}", self.later));
                false
            }
        }
    }

    /// What can be read when it has come or gone.
    pub fn registrations(&self) -> &dyn AsFd {
        &self.controller
    }

    /// What can be read when it tells of something.
    pub fn events(&self) -> &dyn AsFd {
        match &self.kernel {
            Some(kernel) => &kernel.events,
            // with nothing to hear from it stands for the controller once more
            None => &self.controller,
        }
    }

    /// Follows it: returns whether there is a connection now, for each time that there is a
    /// new one, or none any more.
    pub fn follow(&mut self) -> Result<Vec<bool>> {
        let mut changes = Vec::new();
        for registration in self.controller.hear(CARP_GENL_NAME)? {
            match registration {
                // with another number than before
                Registration::Added => {
                    if self.open() {
                        changes.push(true);
                    }
                }
                Registration::Removed => {
                    self.kernel = None;
                    changes.push(false);
                }
            }
        }
        Ok(changes)
    }
}
