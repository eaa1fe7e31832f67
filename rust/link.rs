// SPDX-License-Identifier: GPL-2.0

//! Link kinds: what `ip link add … type KIND` makes (`struct rtnl_link_ops`).

use super::{
    bindings,
    namespace::Net,
    netdevice::Device,
    netdevice_ops::{self, Driver, NewDevice, OwnDevice},
    netlink::{Attributes, Extack, Message, Policies},
    once::{Once, OnceGuard},
    rtnl::Rtnl,
};
use core::{cell::UnsafeCell, marker::PhantomData};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        rcu, Arc, ArcBorrow,
    },
};

/// A request to make or change a device.
pub(crate) struct Request<'a> {
    /// The attributes of IFLA_INFO_DATA.
    pub(crate) data: Attributes<'a>,
    /// The value of IFLA_LINK, if it was sent: the device below.
    pub(crate) link: Option<u32>,
    /// The value of IFLA_ADDRESS, if it was sent for a new device: a link-layer address.
    pub(crate) address: Option<&'a [u8]>,
    /// The value of IFLA_MTU, if it was sent. A new device has it already.
    pub(crate) mtu: Option<u32>,
    /// The namespace in which indices of devices are to be understood: where the device
    /// below is, or is to be.
    pub(crate) link_net: &'a Net,
    /// Whether the user may take devices of that namespace.
    pub(crate) link_net_capable: bool,
    /// Where to tell what is wrong.
    pub(crate) extack: Extack<'a>,
}

/// A driver whose devices are made and changed over rtnetlink.
pub(crate) trait LinkKind: Driver {
    /// The static that registers the kind.
    fn link() -> &'static Link<Self>;

    /// Called for a user's request before any lock is taken, so that modules can be
    /// loaded. The request may still turn out to be invalid.
    fn prepare(data: &Attributes<'_>) {
        let _ = data;
    }

    /// The change that a request asks for.
    type Change<'a>;

    /// Reads and checks what a request for `dev` asks for.
    ///
    /// # Errors
    ///
    /// Nothing is made or changed.
    fn read<'a>(request: &Request<'a>, dev: &Device, rtnl: &'a Rtnl) -> Result<Self::Change<'a>>;

    /// Makes the data of a new device. Nothing may point to the device yet.
    ///
    /// # Errors
    ///
    /// No device is made.
    fn new(
        dev: &NewDevice<'_>,
        request: &Request<'_>,
        change: &Self::Change<'_>,
    ) -> Result<Arc<Self>>;

    /// Called when the device is registered and may be linked to others.
    ///
    /// # Errors
    ///
    /// The device is unregistered again.
    fn created(
        self: &Arc<Self>,
        dev: &OwnDevice,
        request: &Request<'_>,
        change: Self::Change<'_>,
        rtnl: &Rtnl,
    ) -> Result;

    /// Changes a device.
    ///
    /// # Errors
    ///
    /// Nothing was changed.
    fn change(
        this: ArcBorrow<'_, Self>,
        dev: &OwnDevice,
        request: &Request<'_>,
        change: Self::Change<'_>,
        rtnl: &Rtnl,
    ) -> Result;

    /// The device below, if there is one.
    fn lower<'a>(&'a self, rcu: &'a rcu::Guard) -> Option<&'a Device>;

    /// The number of bytes that [`Self::fill`] needs.
    fn size(&self) -> usize;

    /// Writes the device's configuration and state as attributes.
    fn fill(&self, dev: &OwnDevice, message: &mut Message<'_>, rtnl: &Rtnl) -> Result;
}

/// The registration of a link kind, to be kept in a static.
pub(crate) struct Link<T> {
    ops: UnsafeCell<bindings::rtnl_link_ops>,
    /// Its name in uevents and sysfs (DEVTYPE).
    device_type: bindings::device_type,
    once: Once,
    _kind: PhantomData<fn() -> T>,
}

// SAFETY: `ops` is written by the kernel alone, under its own locks; `device_type` is
// never written.
unsafe impl<T> Sync for Link<T> {}

impl<T: LinkKind> Link<T> {
    /// Makes the registration of a kind with the given policy.
    // `as_char_ptr` is not const; the cast makes up for the sign.
    #[allow(clippy::disallowed_methods)]
    pub(crate) const fn new<const N: usize>(
        kind: &'static CStr,
        policies: &'static Policies<N>,
    ) -> Self {
        Self {
            ops: UnsafeCell::new(bindings::rtnl_link_ops {
                kind: kind.as_ptr().cast(),
                priv_size: netdevice_ops::private_size::<T>(),
                setup: Some(setup::<T>),
                maxtype: policies.max(),
                policy: policies.as_ptr(),
                validate: Some(validate::<T>),
                newlink: Some(newlink::<T>),
                changelink: Some(changelink::<T>),
                dellink: Some(dellink),
                get_size: Some(get_size::<T>),
                fill_info: Some(fill_info::<T>),
                get_link_net: Some(get_link_net::<T>),
                // SAFETY: All zeroes is a valid `rtnl_link_ops`.
                ..unsafe { core::mem::zeroed() }
            }),
            device_type: bindings::device_type {
                name: kind.as_ptr().cast(),
                // SAFETY: All zeroes is a valid `device_type`.
                ..unsafe { core::mem::zeroed() }
            },
            once: Once::new(),
            _kind: PhantomData,
        }
    }

    /// Registers the kind until the returned guard is dropped, which unregisters all its
    /// devices. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// EEXIST if another module has registered the kind, or this one has done so already.
    pub(crate) fn register(&'static self) -> Result<Registered<T>> {
        let once = self.once.claim()?;
        // SAFETY: The operations live in a static and are not registered: there is no other
        // guard.
        to_result(unsafe { bindings::rtnl_link_register(self.ops.get()) })?;
        Ok(Registered {
            link: self,
            _once: once,
        })
    }
}

/// Keeps a [`Link`] registered.
pub(crate) struct Registered<T: LinkKind> {
    link: &'static Link<T>,
    _once: OnceGuard,
}

impl<T: LinkKind> Drop for Registered<T> {
    fn drop(&mut self) {
        // SAFETY: `register` has registered these operations.
        unsafe { bindings::rtnl_link_unregister(self.link.ops.get()) }
    }
}

/// Whether the module is being removed.
static LEAVING: Atomic<bool> = Atomic::new(false);

/// Interfaces can be created until it is dropped. A module that is removed drops it
/// first, before any [`Registered`].
///
/// Dropping a [`Registered`] waits until no device of any kind, in any namespace, is
/// being unregistered (`rtnl_lock_unregistering_all`). A user, even one with only a user
/// namespace, who creates and deletes interfaces of the module's other kind all the time
/// could make it wait for ever. Devices of other modules still can.
pub(crate) struct Open;

impl Drop for Open {
    fn drop(&mut self) {
        LEAVING.store(true, Relaxed);
    }
}

/// # Safety
///
/// Only the kernel may call it, as `rtnl_link_ops.setup`.
unsafe extern "C" fn setup<T: LinkKind>(dev: *mut bindings::net_device) {
    // SAFETY: The kernel passes a device that it has just allocated; so nobody else
    // looks at it.
    unsafe {
        NewDevice(OwnDevice::from_raw(dev)).setup::<T>();
        // SET_NETDEV_DEVTYPE
        (*dev).dev.type_ = &T::link().device_type;
    }
}

/// # Safety
///
/// `tb` is null or the kernel's table of parsed link attributes.
unsafe fn ifla_link(tb: *mut *mut bindings::nlattr) -> Option<u32> {
    // SAFETY: The caller promises it; the kernel validated IFLA_LINK as u32.
    unsafe { Attributes::from_raw(tb, bindings::IFLA_LINK) }.u32(bindings::IFLA_LINK)
}

/// # Safety
///
/// As for [`ifla_link`].
unsafe fn ifla_mtu(tb: *mut *mut bindings::nlattr) -> Option<u32> {
    // SAFETY: The caller promises it; the kernel validated IFLA_MTU as u32.
    unsafe { Attributes::from_raw(tb, bindings::IFLA_MTU) }.u32(bindings::IFLA_MTU)
}

/// # Safety
///
/// As for [`ifla_link`]; the table lives for `'a`.
unsafe fn ifla_address<'a>(tb: *mut *mut bindings::nlattr) -> Option<&'a [u8]> {
    // SAFETY: The caller promises it.
    unsafe { Attributes::from_raw(tb, bindings::IFLA_ADDRESS) }.binary(bindings::IFLA_ADDRESS)
}

/// # Safety
///
/// Only the kernel may call it, as `rtnl_link_ops.validate`.
unsafe extern "C" fn validate<T: LinkKind>(
    _tb: *mut *mut bindings::nlattr,
    data: *mut *mut bindings::nlattr,
    _extack: *mut bindings::netlink_ext_ack,
) -> c_int {
    // SAFETY: The kernel passes the request's validated attributes, or null.
    T::prepare(&unsafe { Attributes::from_raw(data, (*T::link().ops.get()).maxtype) });
    0
}

/// # Safety
///
/// Only the kernel may call it, as `rtnl_link_ops.newlink`.
unsafe extern "C" fn newlink<T: LinkKind>(
    dev: *mut bindings::net_device,
    params: *mut bindings::rtnl_newlink_params,
    extack: *mut bindings::netlink_ext_ack,
) -> c_int {
    // SAFETY: The kernel passes a device that went through `setup`, the request's
    // validated attributes and RTNL.
    let (device, request, rtnl) = unsafe {
        let max = (*T::link().ops.get()).maxtype;
        (
            OwnDevice::from_raw(dev),
            Request {
                data: Attributes::from_raw((*params).data, max),
                link: ifla_link((*params).tb),
                address: ifla_address((*params).tb),
                mtu: ifla_mtu((*params).tb),
                link_net: Net::from_raw(bindings::rtnl_newlink_link_net(params)),
                // The kernel has asked for it.
                link_net_capable: true,
                extack: Extack::from_raw(extack),
            },
            Rtnl::assume_held(),
        )
    };
    let made = if LEAVING.load(Relaxed) {
        Err(request
            .extack
            .error(ENODEV, format_args!("the module is being removed")))
    } else {
        create::<T>(device, &request, &rtnl)
    };
    match made {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

fn create<T: LinkKind>(device: &OwnDevice, request: &Request<'_>, rtnl: &Rtnl) -> Result {
    let change = T::read(request, device, rtnl)?;
    let new = NewDevice(device);
    let this = T::new(&new, request, &change)?;
    new.set_data(this.clone());
    // SAFETY: The device is set up and has its data; RTNL is held.
    if let Err(error) = to_result(unsafe { bindings::register_netdevice(device.as_ptr()) }) {
        new.drop_data::<T>();
        return Err(error);
    }
    T::created(&this, device, request, change, rtnl).inspect_err(|_| {
        // SAFETY: The device is registered and RTNL held; the kernel frees it
        // when RTNL is released.
        unsafe { bindings::unregister_netdevice_queue(device.as_ptr(), core::ptr::null_mut()) }
    })
}

/// # Safety
///
/// Only the kernel may call it, as `rtnl_link_ops.changelink`.
unsafe extern "C" fn changelink<T: LinkKind>(
    dev: *mut bindings::net_device,
    tb: *mut *mut bindings::nlattr,
    data: *mut *mut bindings::nlattr,
    extack: *mut bindings::netlink_ext_ack,
) -> c_int {
    // SAFETY: The kernel passes a registered device of this kind, the request's
    // validated attributes and RTNL, which keeps namespaces from being freed.
    let (this, device, request, rtnl) = unsafe {
        let device = OwnDevice::from_raw(dev);
        let link_net = get_link_net::<T>(dev);
        let max = (*T::link().ops.get()).maxtype;
        (
            netdevice_ops::data_arc::<T>(dev),
            device,
            Request {
                data: Attributes::from_raw(data, max),
                link: ifla_link(tb),
                // The kernel asks for that one by itself.
                address: None,
                mtu: ifla_mtu(tb),
                link_net: Net::from_raw(link_net),
                link_net_capable: bindings::rtnl_dev_link_net_capable(dev, link_net),
                extack: Extack::from_raw(extack),
            },
            Rtnl::assume_held(),
        )
    };
    let changed = T::read(&request, device, &rtnl)
        .and_then(|change| T::change(this, device, &request, change, &rtnl));
    match changed {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// Only the kernel may call it, as `rtnl_link_ops.dellink`.
unsafe extern "C" fn dellink(dev: *mut bindings::net_device, head: *mut bindings::list_head) {
    // SAFETY: The kernel passes a registered device of this kind, with RTNL held.
    unsafe { bindings::unregister_netdevice_queue(dev, head) }
}

/// # Safety
///
/// Only the kernel may call it, as `rtnl_link_ops.get_size`.
unsafe extern "C" fn get_size<T: LinkKind>(dev: *const bindings::net_device) -> usize {
    // SAFETY: The kernel passes a registered device of this kind.
    unsafe { netdevice_ops::data::<T>(dev.cast_mut()) }.size()
}

/// # Safety
///
/// Only the kernel may call it, as `rtnl_link_ops.get_link_net`, or under RTNL.
unsafe extern "C" fn get_link_net<T: LinkKind>(
    dev: *const bindings::net_device,
) -> *mut bindings::net {
    let rcu = rcu::Guard::new();
    // SAFETY: The kernel passes a registered device of this kind, with RTNL held: so
    // the device below stays where it is.
    let (this, device) = unsafe {
        (
            netdevice_ops::data::<T>(dev.cast_mut()),
            OwnDevice::from_raw(dev),
        )
    };
    this.lower(&rcu).map_or(device.net(), Device::net).as_ptr()
}

/// # Safety
///
/// Only the kernel may call it, as `rtnl_link_ops.fill_info`.
unsafe extern "C" fn fill_info<T: LinkKind>(
    skb: *mut bindings::sk_buff,
    dev: *const bindings::net_device,
) -> c_int {
    // SAFETY: The kernel passes a registered device of this kind, and a message
    // that it is writing, under RTNL (`rtnl_fill_ifinfo`).
    let (this, device, mut message, rtnl) = unsafe {
        (
            netdevice_ops::data::<T>(dev.cast_mut()),
            OwnDevice::from_raw(dev),
            Message::from_raw(skb),
            Rtnl::assume_held(),
        )
    };
    match this.fill(device, &mut message, &rtnl) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}
