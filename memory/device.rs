// SPDX-License-Identifier: GPL-2.0

//! `/dev/pfsync_memory`: a command is written, the table of the process' namespace is
//! read.

use super::{command, list, TABLES};
use kernel::{
    fs::{File, Kiocb},
    iov::{IovIterDest, IovIterSource},
    miscdevice::{MiscDevice, MiscDeviceOptions, MiscDeviceRegistration},
    prelude::*,
};

/// An open file, with the table as it was when it was opened.
pub(crate) struct Opened(KVVec<u8>);

/// The device.
pub(crate) type Registration = MiscDeviceRegistration<Opened>;

/// Makes the device.
pub(crate) fn register() -> impl PinInit<Registration, Error> {
    MiscDeviceRegistration::register(MiscDeviceOptions {
        name: c"pfsync_memory",
    })
}

#[vtable]
impl MiscDevice for Opened {
    type Ptr = KBox<Self>;

    fn open(_file: &File, _misc: &Registration) -> Result<KBox<Self>> {
        let mut text = list::Text(KVVec::new());
        if let Some(tables) = TABLES.get() {
            for table in tables.lock().iter().filter(|table| table.net.is_current()) {
                list::list(table, &mut text).map_err(|_| ENOMEM)?;
            }
        }
        Ok(KBox::new(Self(text.0), GFP_KERNEL)?)
    }

    fn read_iter(mut kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        let file = kiocb.file();
        iov.simple_read_from_buffer(kiocb.ki_pos_mut(), &file.0)
    }

    fn write_iter(_kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterSource<'_>) -> Result<usize> {
        let mut bytes = KVec::new();
        let len = iov.copy_from_iter_vec(&mut bytes, GFP_KERNEL)?;
        let text = core::str::from_utf8(&bytes).map_err(|_| EINVAL)?;
        let tables = TABLES.get().ok_or(ENODEV)?.lock();
        let table = tables.iter().find(|table| table.net.is_current());
        let table = table.ok_or(ENODEV)?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            command::run(table, line)?;
        }
        Ok(len)
    }
}
