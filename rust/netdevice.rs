// SPDX-License-Identifier: GPL-2.0

//! A network device (`struct net_device`), as a user of it sees it.
//!
//! What a driver of its own devices needs is in [`super::netdevice_ops`].

use super::{
    bindings,
    namespace::Net,
    netlink::Extack,
    rtnl::Rtnl,
    rwonce::{rcu_dereference, read_once},
};
use core::{fmt, net::Ipv4Addr, ptr::NonNull};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        rcu,
    },
    types::Opaque,
};

/// An Ethernet address, in the order of the wire.
pub(crate) type MacAddress = [u8; 6];

/// An address as one number, with its first byte highest, as the kernel's function of
/// this name has it.
pub(crate) const fn ether_addr_to_u64(address: MacAddress) -> u64 {
    let [a, b, c, d, e, f] = address;
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// A network device.
///
/// A reference means that the device is alive: its memory is there, though it
/// may be unregistered meanwhile. A counted one is an [`ARef<Device>`]
/// (`dev_hold`); it keeps `unregister_netdevice` from ending, so whoever holds
/// one must let go on NETDEV_UNREGISTER.
///
/// # Invariants
///
/// The pointer to `self` is a `net_device` that was initialised by the kernel.
#[repr(transparent)]
pub(crate) struct Device(Opaque<bindings::net_device>);

// SAFETY: The methods use what the kernel lets any thread use, or ask for a lock.
unsafe impl Send for Device {}
// SAFETY: As above.
unsafe impl Sync for Device {}

// SAFETY: `dev_hold` and `dev_put` count the references of a device, which is not
// freed before the last is gone.
unsafe impl AlwaysRefCounted for Device {
    fn inc_ref(&self) {
        // SAFETY: `self` is a live device.
        unsafe { bindings::dev_hold(self.as_ptr()) }
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a count that it has.
        unsafe { bindings::dev_put(obj.as_ptr().cast()) }
    }
}

impl Device {
    /// # Safety
    ///
    /// `ptr` is a device that stays alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *const bindings::net_device) -> &'a Self {
        // SAFETY: The caller promises a live device; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::net_device {
        self.0.get()
    }

    /// Finds a device by its index, under RTNL.
    pub(crate) fn by_index<'a>(net: &Net, ifindex: u32, _rtnl: &'a Rtnl) -> Option<&'a Self> {
        let ifindex = c_int::try_from(ifindex).ok()?;
        // SAFETY: RTNL is held, which also keeps the device registered for `'a`.
        let dev = unsafe { bindings::__dev_get_by_index(net.as_ptr(), ifindex) };
        // SAFETY: As above.
        (!dev.is_null()).then(|| unsafe { Self::from_raw(dev) })
    }

    /// Finds a device by its index. Any context.
    pub(crate) fn by_index_rcu<'a>(
        net: &Net,
        ifindex: c_int,
        _rcu: &'a rcu::Guard,
    ) -> Option<&'a Self> {
        // SAFETY: The RCU lock is held, which keeps the device in memory for `'a`.
        let dev = unsafe { bindings::dev_get_by_index_rcu(net.as_ptr(), ifindex) };
        // SAFETY: As above.
        (!dev.is_null()).then(|| unsafe { Self::from_raw(dev) })
    }

    /// The devices of a namespace in ascending order of their indices, from one on.
    /// Any context.
    ///
    /// A walk may be broken off and taken up again after the last index that was
    /// seen: it meets each device once that is there all the time. The kernel keeps
    /// the indices in a tree, so a whole walk takes linear time.
    pub(crate) fn walk<'a>(
        net: &'a Net,
        from: u32,
        _rcu: &'a rcu::Guard,
    ) -> impl Iterator<Item = &'a Self> {
        let mut next = Some(from as c_ulong);
        core::iter::from_fn(move || {
            let mut ifindex = next?;
            // SAFETY: `net` is live. The RCU lock is held, which keeps what is found
            // in memory for `'a`.
            let dev = unsafe { bindings::netdev_at_or_after(net.as_ptr(), &mut ifindex) };
            next = ifindex.checked_add(1);
            // SAFETY: As above.
            (!dev.is_null()).then(|| unsafe { Self::from_raw(dev) })
        })
    }

    /// The device that has a local IPv4 address (`__ip_dev_find`); one of them if
    /// there are several. Any context.
    pub(crate) fn by_address_rcu<'a>(
        net: &Net,
        address: Ipv4Addr,
        _rcu: &'a rcu::Guard,
    ) -> Option<&'a Self> {
        let address = u32::from_ne_bytes(address.octets());
        // SAFETY: The RCU lock is held, which keeps the device in memory for `'a`.
        let dev = unsafe { bindings::__ip_dev_find(net.as_ptr(), address, false) };
        // SAFETY: As above.
        (!dev.is_null()).then(|| unsafe { Self::from_raw(dev) })
    }

    /// A counted reference. Any context.
    pub(crate) fn hold(&self) -> ARef<Self> {
        ARef::from(self)
    }

    /// Whether both are the same device.
    pub(crate) fn is(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }

    /// The namespace that the device is in.
    pub(crate) fn net(&self) -> &Net {
        // SAFETY: A device holds its namespace until it is unregistered, and the
        // namespace's memory is not freed before an RCU grace period after that.
        unsafe { Net::from_raw(read_once(&raw const (*self.as_ptr()).nd_net.net)) }
    }

    /// Whether it is registered and not leaving for good. A device that moves to
    /// another namespace stays so. Under RTNL.
    pub(crate) fn is_registered(&self, _rtnl: &Rtnl) -> bool {
        // SAFETY: A plain field of a live device, which changes under RTNL.
        let state = unsafe { (*self.as_ptr()).reg_state };
        u32::from(state) == bindings::netdev_reg_state_NETREG_REGISTERED
    }

    /// The interface index, unique in the namespace.
    pub(crate) fn ifindex(&self) -> u32 {
        // SAFETY: A plain field of a live device; it changes only while the device
        // moves between namespaces.
        let ifindex = unsafe { (*self.as_ptr()).ifindex };
        u32::try_from(ifindex).unwrap_or(0)
    }

    /// The interface's name as it is now, with zero bytes behind it; while it is being
    /// changed, under RTNL, it may be seen half.
    pub(crate) fn name_bytes(&self) -> [u8; bindings::IFNAMSIZ as usize] {
        // SAFETY: A plain field of a live device.
        unsafe { (*self.as_ptr()).name }
    }

    /// The interface's name, kept.
    pub(crate) fn name_now(&self) -> DeviceName {
        DeviceName(self.name_bytes())
    }

    /// The interface's name, for messages.
    pub(crate) fn name(&self) -> Name<'_> {
        Name(self)
    }

    fn flags(&self) -> u32 {
        // SAFETY: A plain field of a live device.
        unsafe { read_once(&raw const (*self.as_ptr()).flags) }
    }

    /// Whether the administrator has set the device up (`IFF_UP`).
    pub(crate) fn is_up(&self) -> bool {
        self.flags() & bindings::net_device_flags_IFF_UP != 0
    }

    /// Whether the device has link.
    pub(crate) fn has_carrier(&self) -> bool {
        // SAFETY: `self` is a live device.
        unsafe { bindings::netif_carrier_ok(self.as_ptr()) }
    }

    /// The largest payload of a frame, in bytes.
    pub(crate) fn mtu(&self) -> u32 {
        // SAFETY: A plain field of a live device.
        unsafe { read_once(&raw const (*self.as_ptr()).mtu) }
    }

    /// Whether it speaks Ethernet: not loopback.
    pub(crate) fn is_ethernet(&self) -> bool {
        // SAFETY: A plain field of a live device.
        let kind = unsafe { (*self.as_ptr()).type_ };
        u32::from(kind) == bindings::ARPHRD_ETHER && !self.is_loopback()
    }

    /// Whether it looks for neighbours on a wire. Devices without (`IFF_NOARP`), such as
    /// dummy ones, reach nobody by themselves. Any context.
    pub(crate) fn has_arp(&self) -> bool {
        self.flags() & bindings::net_device_flags_IFF_NOARP == 0
    }

    /// Whether it is a macvlan that receives for its own address only.
    pub(crate) fn is_picky_macvlan(&self) -> bool {
        // SAFETY: `self` is a live device.
        unsafe { bindings::netif_is_picky_macvlan(self.as_ptr()) }
    }

    /// Its link kind (`ip link add type KIND`), if it was made by rtnetlink.
    fn link_kind<'a>(&'a self, _rtnl: &'a Rtnl) -> Option<&'a CStr> {
        // SAFETY: `self` is a live device. RTNL is held, without which no driver takes
        // its operations back, and those have a constant kind.
        unsafe {
            let ops = (*self.as_ptr()).rtnl_link_ops;
            (!ops.is_null()).then(|| CStr::from_char_ptr((*ops).kind))
        }
    }

    /// Whether it is an ipvlan or an ipvtap. They have the MAC of the device below, which
    /// chooses among them by IP address, and takes frames for no other MAC.
    pub(crate) fn is_ipvlan(&self, rtnl: &Rtnl) -> bool {
        self.link_kind(rtnl)
            .is_some_and(|kind| matches!(kind.to_bytes(), b"ipvlan" | b"ipvtap"))
    }

    /// Whether it refuses rx handlers altogether, as VRFs do.
    pub(crate) fn refuses_rx_handlers(&self) -> bool {
        // SAFETY: `self` is a live device.
        unsafe { bindings::netif_no_rx_handler(self.as_ptr()) }
    }

    /// Whether packets that come in on both are routed by the same table: they are in
    /// the same VRF, or in none. Any context.
    pub(crate) fn has_routes_of(&self, other: &Self, _rcu: &rcu::Guard) -> bool {
        // SAFETY: Both are live, RCU is held.
        unsafe {
            bindings::l3mdev_master_ifindex_rcu(self.as_ptr())
                == bindings::l3mdev_master_ifindex_rcu(other.as_ptr())
        }
    }

    /// The device's stacking depth and the like are kept by the kernel: says that
    /// `upper` stands on this device.
    ///
    /// # Errors
    ///
    /// What `netdev_upper_dev_link` says, such as a loop; it also tells the user.
    pub(crate) fn link_upper(&self, upper: &Self, extack: &Extack<'_>, _rtnl: &Rtnl) -> Result {
        // SAFETY: Both are live and registered, RTNL is held.
        to_result(unsafe {
            bindings::netdev_upper_dev_link(self.as_ptr(), upper.as_ptr(), extack.as_ptr())
        })
        .map_err(|error| {
            if error == EEXIST {
                extack.error(
                    error,
                    format_args!(
                        "{} stands on {} already, by way of another: detach it first",
                        upper.name(),
                        self.name()
                    ),
                )
            } else if error == EBUSY {
                extack.error(
                    error,
                    format_args!("{} stands on {} itself", self.name(), upper.name()),
                )
            } else if error == EMLINK {
                extack.error(
                    error,
                    format_args!(
                        "too many interfaces stand on each other below {}",
                        upper.name()
                    ),
                )
            } else {
                error
            }
        })
    }

    /// Takes [`Self::link_upper`] back.
    pub(crate) fn unlink_upper(&self, upper: &Self, _rtnl: &Rtnl) {
        // SAFETY: Both are live, RTNL is held.
        unsafe { bindings::netdev_upper_dev_unlink(self.as_ptr(), upper.as_ptr()) }
    }

    /// Has the device receive one more unicast address (`dev_uc_add`); counted.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(crate) fn add_unicast(&self, mac: &MacAddress, _rtnl: &Rtnl) -> Result {
        // SAFETY: `self` is live, `mac` as long as `addr_len` of Ethernet.
        to_result(unsafe { bindings::dev_uc_add(self.as_ptr(), mac.as_ptr()) })
    }

    /// Takes [`Self::add_unicast`] back.
    pub(crate) fn remove_unicast(&self, mac: &MacAddress, _rtnl: &Rtnl) {
        // SAFETY: As above. An address that is not there is not an error worth
        // telling: the device forgets them all when it is unregistered.
        let _ = unsafe { bindings::dev_uc_del(self.as_ptr(), mac.as_ptr()) };
    }

    /// Has the device receive one more multicast address (`dev_mc_add`); counted.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub(crate) fn add_multicast(&self, mac: &MacAddress, _rtnl: &Rtnl) -> Result {
        // SAFETY: As for `add_unicast`.
        to_result(unsafe { bindings::dev_mc_add(self.as_ptr(), mac.as_ptr()) })
    }

    /// Takes [`Self::add_multicast`] back.
    pub(crate) fn remove_multicast(&self, mac: &MacAddress, _rtnl: &Rtnl) {
        // SAFETY: As for `remove_unicast`.
        let _ = unsafe { bindings::dev_mc_del(self.as_ptr(), mac.as_ptr()) };
    }

    /// The link-layer address of an Ethernet device. Any context; while it is
    /// being changed, under RTNL, it may be seen half.
    pub(crate) fn mac(&self) -> MacAddress {
        let mut mac = MacAddress::default();
        // SAFETY: `dev_addr` of a live Ethernet device points to six bytes that
        // live as long as the device.
        unsafe {
            core::ptr::copy_nonoverlapping((*self.as_ptr()).dev_addr, mac.as_mut_ptr(), mac.len());
        }
        mac
    }

    /// How many netfilter hooks look at what it receives before anybody else does
    /// (`NF_NETDEV_INGRESS`): chains and flowtables. Any context.
    pub(crate) fn ingress_hooks(&self, _rcu: &rcu::Guard) -> usize {
        // SAFETY: `self` is a live device. The list stays in memory while RCU is held.
        let hooks =
            unsafe { rcu_dereference(&raw const (*self.as_ptr()).nf_hooks_ingress).as_ref() };
        hooks.map_or(0, |hooks| usize::from(hooks.num_hook_entries))
    }

    /// Whether it is its namespace's loopback device.
    pub(crate) fn is_loopback(&self) -> bool {
        self.flags() & bindings::net_device_flags_IFF_LOOPBACK != 0
    }

    /// Whether it is a VRF, or the like: what programs in it send passes it first, and
    /// what they send to this host leaves by it.
    pub(crate) fn is_l3_master(&self) -> bool {
        // SAFETY: `self` is a live device.
        unsafe { bindings::netif_is_l3_master(self.as_ptr()) }
    }

    /// Whether it is a bridge, which switches frames between its ports itself.
    pub(crate) fn is_bridge(&self) -> bool {
        // SAFETY: `self` is a live device.
        unsafe { bindings::netif_is_bridge_master(self.as_ptr()) }
    }
}

/// The name that a device had at a time, with zero bytes behind it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DeviceName([u8; bindings::IFNAMSIZ as usize]);

impl DeviceName {
    /// Its characters.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}

/// A device's name, as [`fmt::Display`].
pub(crate) struct Name<'a>(&'a Device);

/// For the kernel's own printing macros.
impl kernel::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: The name is an array that ends with a zero byte; while it is
        // being changed, under RTNL, it may be seen half, as in the kernel's own
        // messages.
        let bytes = unsafe { (*self.0.as_ptr()).name };
        for &byte in bytes.iter().take_while(|&&byte| byte != 0) {
            fmt::Write::write_char(f, char::from(byte))?;
        }
        Ok(())
    }
}
