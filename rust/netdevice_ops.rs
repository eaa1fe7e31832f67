// SPDX-License-Identifier: GPL-2.0

//! Devices of a driver that uses this file: `net_device_ops` and the driver's private
//! data.

use super::{
    bindings,
    compat::{EADDRNOTAVAIL, EOPNOTSUPP},
    namespace::Net,
    netdevice::{Device, MacAddress},
    netlink::Extack,
    rtnl::Rtnl,
    rwonce::write_once,
    skbuff_tx::XmitSkb,
};
use core::{
    marker::PhantomData,
    ptr::{self, NonNull},
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        rcu, Arc, ArcBorrow,
    },
};

/// The link layer of a device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkLayer {
    /// Ethernet.
    Ethernet,
    /// None: packets begin with the IP header, and there are no link-layer addresses.
    None {
        /// The initial MTU.
        mtu: u32,
    },
}

/// What a driver does for its devices; `self` is the data of one device.
pub(crate) trait Driver: Sized + Send + Sync + 'static {
    /// The link layer of its devices.
    const LINK_LAYER: LinkLayer = LinkLayer::Ethernet;

    /// The static that holds the operations; its address identifies devices of this
    /// driver.
    fn operations() -> &'static Operations<Self>;

    /// The device is being set up (`ndo_open`).
    ///
    /// # Errors
    ///
    /// The device stays down.
    fn open(&self, dev: &OwnDevice, rtnl: &Rtnl) -> Result;

    /// The device is being set down (`ndo_stop`).
    fn stop(&self, dev: &OwnDevice, rtnl: &Rtnl);

    /// The administrator changes the link-layer address (`ndo_set_mac_address`); the new
    /// one is unicast and not zero. The driver must set it ([`OwnDevice::set_mac`]). The
    /// kernel has called the NETDEV_PRE_CHANGEADDR notifiers before, and calls those of
    /// NETDEV_CHANGEADDR afterwards.
    ///
    /// # Errors
    ///
    /// Nothing changed.
    fn set_mac(
        this: ArcBorrow<'_, Self>,
        dev: &OwnDevice,
        mac: &MacAddress,
        rtnl: &Rtnl,
    ) -> Result {
        let _ = (this, dev, mac, rtnl);
        Err(EOPNOTSUPP)
    }

    /// The device's receive filter has changed, for example its multicast addresses
    /// (`ndo_set_rx_mode`). The device is up, its address lists are locked, softirqs are
    /// off.
    fn set_rx_mode(&self, dev: &OwnDevice, addresses: &AddressLock<'_>) {
        let _ = (dev, addresses);
    }

    /// The device is being unregistered (`ndo_uninit`): nothing may find it any more when
    /// this returns. An RCU grace period passes before the data are dropped.
    fn uninit(&self, dev: &OwnDevice, rtnl: &Rtnl);

    /// Sends a packet (`ndo_start_xmit`). Softirqs are off, no lock; the caller holds RCU.
    fn start_xmit(&self, dev: &OwnDevice, skb: XmitSkb, rcu: &rcu::Guard);

    /// Does the work that [`OwnDevice::schedule_work`] scheduled (`ndo_work`). `bits` are
    /// those of all calls since the work ran last. Process context.
    fn work(&self, dev: &OwnDevice, bits: u32, rtnl: &Rtnl) {
        let _ = (dev, bits, rtnl);
    }

    /// The ifindex of the lower device, if there is one (`ndo_get_iflink`). RCU or RTNL
    /// is held.
    fn iflink(&self) -> Option<u32>;
}

/// The operations of one kind of device, to be kept in a static.
pub(crate) struct Operations<T> {
    ops: bindings::net_device_ops,
    _driver: PhantomData<fn() -> T>,
}

// SAFETY: The operations are never written.
unsafe impl<T> Sync for Operations<T> {}

impl<T: Driver> Operations<T> {
    /// Makes the operations of `T`.
    pub(crate) const fn new() -> Self {
        Self {
            ops: bindings::net_device_ops {
                ndo_open: Some(open::<T>),
                ndo_stop: Some(stop::<T>),
                ndo_uninit: Some(uninit::<T>),
                ndo_start_xmit: Some(start_xmit::<T>),
                ndo_set_rx_mode: Some(set_rx_mode::<T>),
                ndo_set_mac_address: Some(set_mac_address::<T>),
                ndo_get_iflink: Some(iflink::<T>),
                ndo_work: Some(work::<T>),
                ndo_get_stats64: Some(bindings::dev_get_tstats64),
                // No ndo_validate_addr: the driver may choose a multicast address. An
                // address from the user is checked when it is set. SAFETY: All zeroes is
                // a valid `net_device_ops`: no operation.
                ..unsafe { core::mem::zeroed() }
            },
            _driver: PhantomData,
        }
    }
}

/// Evidence that the address lists of a device are locked (`netif_addr_lock`).
pub(crate) struct AddressLock<'a>(PhantomData<&'a ()>);

/// The private area of our devices: a reference to the driver's data.
struct Private<T>(*const T);

// As `netdev_priv` has it.
const _: () = assert!(
    core::mem::offset_of!(bindings::net_device, priv_) == size_of::<bindings::net_device>()
);

fn private<T>(dev: *mut bindings::net_device) -> *mut Private<T> {
    // SAFETY: Called for devices whose private area, which begins where the device ends, was
    // allocated for this type.
    unsafe { &raw mut (*dev).priv_ }.cast()
}

/// # Safety
///
/// `dev` is a device of the driver `T` with its data in place, alive for `'a`.
pub(super) unsafe fn data<'a, T: Driver>(dev: *mut bindings::net_device) -> &'a T {
    // SAFETY: The caller promises that the data is in place; the device's count of
    // it is given up only when the device is freed.
    unsafe { &*(*private::<T>(dev)).0 }
}

/// # Safety
///
/// As for [`data`].
pub(super) unsafe fn data_arc<'a, T: Driver>(dev: *mut bindings::net_device) -> ArcBorrow<'a, T> {
    // SAFETY: The caller promises that the data is in place; it came from an `Arc`.
    unsafe { ArcBorrow::from_raw((*private::<T>(dev)).0) }
}

/// A device whose driver uses this file: it has the operations of a [`Driver`], its
/// counters and its data.
///
/// # Invariants
///
/// The device went through [`NewDevice::setup`].
#[repr(transparent)]
pub(crate) struct OwnDevice(Device);

impl core::ops::Deref for OwnDevice {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.0
    }
}

// SAFETY: Counted as any device.
unsafe impl AlwaysRefCounted for OwnDevice {
    fn inc_ref(&self) {
        self.0.inc_ref();
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a count; the type is transparent.
        unsafe { Device::dec_ref(obj.cast()) }
    }
}

impl Device {
    /// Returns this device as a device of the driver `T`, with its data, if it is one.
    /// Any context.
    pub(crate) fn of_driver<'a, T: Driver>(
        &'a self,
        _rcu: &'a rcu::Guard,
    ) -> Option<(&'a OwnDevice, &'a T)> {
        self.own::<T>()
    }

    /// The same under RTNL.
    pub(crate) fn of_driver_rtnl<'a, T: Driver>(
        &'a self,
        _rtnl: &'a Rtnl,
    ) -> Option<(&'a OwnDevice, &'a T)> {
        self.own::<T>()
    }

    fn own<T: Driver>(&self) -> Option<(&OwnDevice, &T)> {
        // SAFETY: A plain field of a live device.
        let ops = unsafe { (*self.as_ptr()).netdev_ops };
        if !ptr::eq(ops, &T::operations().ops) {
            return None;
        }
        // SAFETY: The operations are ours, so the private area is, too, and the
        // invariant of `OwnDevice` holds; the pointer is set before the device is
        // registered and cleared when it is freed, which waits for RCU readers
        // and needs RTNL.
        unsafe {
            let data = (*private::<T>(self.as_ptr())).0.as_ref()?;
            Some((OwnDevice::from_raw(self.as_ptr()), data))
        }
    }

    /// An upper device of this one ([`Device::link_upper`]) that belongs to the driver
    /// `T`, and its data. Skips the first `skip` such devices.
    pub(crate) fn upper<T: Driver>(
        &self,
        mut skip: usize,
        _rtnl: &Rtnl,
    ) -> Option<(ARef<OwnDevice>, Arc<T>)> {
        let _rcu = rcu::Guard::new();
        // SAFETY: `self` is live; the list is walked under RCU, and RTNL keeps it from
        // changing. A device in the list is registered.
        unsafe {
            let mut iterator = &raw mut (*self.as_ptr()).adj_list.upper;
            loop {
                let upper = bindings::netdev_upper_get_next_dev_rcu(self.as_ptr(), &mut iterator);
                if upper.is_null() {
                    return None;
                }
                if let Some((own, _)) = Device::from_raw(upper).own::<T>() {
                    if let Some(rest) = skip.checked_sub(1) {
                        skip = rest;
                        continue;
                    }
                    return Some((own.into(), data_arc::<T>(upper).into()));
                }
            }
        }
    }
}

impl OwnDevice {
    /// The driver's data, if the device is registered with this driver. RTNL keeps it
    /// in place.
    pub(crate) fn data<T: Driver>(&self, _rtnl: &Rtnl) -> Option<Arc<T>> {
        self.own::<T>()?;
        // SAFETY: The device is of this driver and has its data.
        Some(unsafe { data_arc::<T>(self.as_ptr()) }.into())
    }

    /// # Safety
    ///
    /// `ptr` is a device of a [`Driver`] that stays alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *const bindings::net_device) -> &'a Self {
        // SAFETY: The caller promises it; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    /// A counted reference. Any context.
    pub(crate) fn hold(&self) -> ARef<Self> {
        ARef::from(self)
    }

    /// Counts a received packet of `len` bytes. Softirq context.
    pub(crate) fn count_received(&self, len: u32) {
        // SAFETY: Devices of ours ask for these statistics in `setup`.
        unsafe { bindings::dev_sw_netstats_rx_add(self.as_ptr(), len) }
    }

    /// Counts a sent packet of `len` bytes. Softirqs are off.
    pub(crate) fn count_sent(&self, len: u32) {
        // SAFETY: As above.
        unsafe { bindings::dev_sw_netstats_tx_add(self.as_ptr(), 1, len) }
    }

    /// The same in any context except hardirq.
    pub(crate) fn count_sent_by_itself(&self, len: u32) {
        // SAFETY: As above.
        unsafe { bindings::netdev_count_sent(self.as_ptr(), len) }
    }

    /// Counts a packet that was not sent.
    pub(crate) fn count_not_sent(&self) {
        // SAFETY: `self` is a live device.
        unsafe { bindings::dev_core_stats_tx_dropped_inc(self.as_ptr()) }
    }

    /// Sets whether the device has carrier. The kernel then updates operstate and sends
    /// RTM_NEWLINK from a work item (linkwatch). Any context.
    pub(crate) fn set_carrier(&self, on: bool) {
        // SAFETY: `self` is a live device.
        unsafe {
            if on {
                bindings::netif_carrier_on(self.as_ptr());
            } else {
                bindings::netif_carrier_off(self.as_ptr());
            }
        }
    }

    /// Sets whether the device is dormant, that is waits for an external event (RFC
    /// 2863). Operstate follows as for [`Self::set_carrier`].
    pub(crate) fn set_dormant(&self, on: bool) {
        // SAFETY: `self` is a live device.
        unsafe {
            if on {
                bindings::netif_dormant_on(self.as_ptr());
            } else {
                bindings::netif_dormant_off(self.as_ptr());
            }
        }
    }

    /// Changes the device's MTU, and calls the notifiers.
    ///
    /// # Errors
    ///
    /// The device cannot have that MTU, and keeps the old one.
    pub(crate) fn change_mtu(&self, mtu: u32, _rtnl: &Rtnl) -> Result {
        let mtu = c_int::try_from(mtu)?;
        // SAFETY: `self` is a live device of ours, RTNL is held.
        to_result(unsafe { bindings::dev_set_mtu(self.as_ptr(), mtu) })
    }

    /// Sets the largest MTU that the device can be set to; its current MTU does not
    /// change.
    pub(crate) fn set_max_mtu(&self, mtu: u32, _rtnl: &Rtnl) {
        // SAFETY: `self` is a live device of ours. RTNL serialises writers; readers
        // without RTNL read a single word.
        unsafe { write_once(&raw mut (*self.as_ptr()).max_mtu, mtu) }
    }

    /// Calls the NETDEV_PRE_CHANGEADDR notifiers, which may refuse another link-layer
    /// address. For a driver that changes the address by itself.
    ///
    /// # Errors
    ///
    /// A notifier refuses it; in words.
    pub(crate) fn pre_change_mac(
        &self,
        mac: &MacAddress,
        extack: &Extack<'_>,
        _rtnl: &Rtnl,
    ) -> Result {
        // SAFETY: `self` is a live Ethernet device of ours, RTNL is held.
        to_result(unsafe {
            bindings::netif_pre_changeaddr_notify(
                self.as_ptr(),
                mac.as_ptr().cast(),
                extack.as_ptr(),
            )
        })
    }

    /// Changes the device's link-layer address, and calls the NETDEV_CHANGEADDR
    /// notifiers. Call [`Self::pre_change_mac`] first.
    pub(crate) fn change_mac(&self, mac: &MacAddress, rtnl: &Rtnl) {
        self.set_mac(mac, rtnl);
        // SAFETY: `self` is a live device of ours, RTNL is held.
        unsafe {
            if u32::from((*self.as_ptr()).reg_state) == bindings::netdev_reg_state_NETREG_REGISTERED
            {
                bindings::call_netdevice_notifiers(
                    bindings::netdev_cmd_NETDEV_CHANGEADDR as c_ulong,
                    self.as_ptr(),
                );
            }
        }
    }

    /// Changes the device's link-layer address.
    pub(crate) fn set_mac(&self, mac: &MacAddress, _rtnl: &Rtnl) {
        // SAFETY: `self` is a live Ethernet device of ours, RTNL is held.
        unsafe { bindings::eth_hw_addr_set(self.as_ptr(), mac.as_ptr()) }
    }
}

/// A device that is not registered yet, as the driver's set-up sees it.
pub(crate) struct NewDevice<'a>(pub(super) &'a OwnDevice);

impl NewDevice<'_> {
    /// Makes it a virtual device with the operations of `T`: no queue
    /// of its own, transmits without a lock, per-CPU counters, no carrier yet.
    pub(super) fn setup<T: Driver>(&self) {
        let dev = self.0.as_ptr();
        // SAFETY: The device is not registered yet, so nobody else looks at it.
        unsafe {
            bindings::ether_setup(dev);
            (*dev).netdev_ops = &T::operations().ops;
            (*dev).needs_free_netdev = true;
            let set = bindings::netdev_priv_flags_IFF_NO_QUEUE
                | bindings::netdev_priv_flags_IFF_NO_ADDRCONF
                | bindings::netdev_priv_flags_IFF_LIVE_ADDR_CHANGE
                // Netpoll is disabled: transmitting takes locks that netpoll's callers
                // may hold.
                | bindings::netdev_priv_flags_IFF_DISABLE_NETPOLL;
            let clear = bindings::netdev_priv_flags_IFF_TX_SKB_SHARING;
            bindings::netdev_change_priv_flags(dev, set, clear);
            bindings::netdev_set_lltx(dev);
            (*dev).set_pcpu_stat_type(bindings::netdev_stat_type_NETDEV_PCPU_STAT_TSTATS);
            // All offloads: what the parent's hardware cannot do, the kernel does before
            // it transmits on the parent.
            bindings::netif_set_software_features(dev);
            // Whatever the device below can.
            (*dev).max_mtu = bindings::ETH_MAX_MTU;
            bindings::netif_carrier_off(dev);
            // The address is not random, so udev does not replace it.
            (*dev).addr_assign_type = bindings::NET_ADDR_SET as u8;
            if let LinkLayer::None { mtu } = T::LINK_LAYER {
                bindings::netdev_without_link_layer(dev, mtu);
            }
        }
    }

    /// The namespace in which it will be registered.
    pub(crate) fn net(&self) -> &Net {
        self.0.net()
    }

    /// Sets the link-layer address.
    pub(crate) fn set_mac(&self, mac: &MacAddress) {
        // SAFETY: The device is not registered yet and Ethernet.
        unsafe { bindings::eth_hw_addr_set(self.0.as_ptr(), mac.as_ptr()) }
    }

    /// Puts the driver's data in place. It is dropped with the device.
    pub(super) fn set_data<T: Driver>(&self, data: Arc<T>) {
        let dev = self.0.as_ptr();
        // SAFETY: The device is not registered yet; its private area is ours.
        unsafe {
            (*private::<T>(dev)).0 = data.into_raw();
            (*dev).priv_destructor = Some(free_data::<T>);
        }
    }

    /// Drops the data of a device whose registration failed, unless the kernel
    /// has called the destructor already.
    pub(super) fn drop_data<T: Driver>(&self) {
        // SAFETY: The device is not registered (any more).
        unsafe { free_data::<T>(self.0.as_ptr()) }
    }
}

/// The size of the private area of a device of `T`, in bytes.
pub(super) const fn private_size<T>() -> usize {
    size_of::<Private<T>>()
}

/// # Safety
///
/// Only the kernel may call it, as `priv_destructor`, or for a device that was never registered.
unsafe extern "C" fn free_data<T: Driver>(dev: *mut bindings::net_device) {
    // SAFETY: The device is being freed, or was never registered: nobody else
    // looks at it, and the pointer came from `into_raw`.
    unsafe {
        let data = ptr::replace(&raw mut (*private::<T>(dev)).0, ptr::null());
        if !data.is_null() {
            drop(Arc::from_raw(data));
        }
    }
}

/// # Safety
///
/// Only the kernel may call it, as `ndo_open`.
unsafe extern "C" fn open<T: Driver>(dev: *mut bindings::net_device) -> c_int {
    // SAFETY: The kernel passes a registered device of ours, with RTNL held.
    let (this, device, rtnl) = unsafe {
        (
            data::<T>(dev),
            OwnDevice::from_raw(dev),
            Rtnl::assume_held(),
        )
    };
    match this.open(device, &rtnl) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// Only the kernel may call it, as `ndo_stop`.
unsafe extern "C" fn stop<T: Driver>(dev: *mut bindings::net_device) -> c_int {
    // SAFETY: The kernel passes a registered device of ours, with RTNL held.
    let (this, device, rtnl) = unsafe {
        (
            data::<T>(dev),
            OwnDevice::from_raw(dev),
            Rtnl::assume_held(),
        )
    };
    this.stop(device, &rtnl);
    0
}

/// # Safety
///
/// Only the kernel may call it, as `ndo_set_mac_address`.
unsafe extern "C" fn set_mac_address<T: Driver>(
    dev: *mut bindings::net_device,
    address: *mut c_void,
) -> c_int {
    // SAFETY: The kernel passes a registered device of ours, with RTNL held, and a
    // socket address with as many bytes as an Ethernet address has.
    let (this, device, mac, rtnl) = unsafe {
        let mut mac = MacAddress::default();
        let data = (&raw const (*address.cast::<bindings::sockaddr>()).sa_data).cast::<u8>();
        core::ptr::copy_nonoverlapping(data, mac.as_mut_ptr(), mac.len());
        (
            data_arc::<T>(dev),
            OwnDevice::from_raw(dev),
            mac,
            Rtnl::assume_held(),
        )
    };
    if mac.first().is_none_or(|first| first & 1 == 1) || mac == [0; 6] {
        return EADDRNOTAVAIL.to_errno();
    }
    match T::set_mac(this, device, &mac, &rtnl) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// Only the kernel may call it, as `ndo_set_rx_mode`.
unsafe extern "C" fn set_rx_mode<T: Driver>(dev: *mut bindings::net_device) {
    // SAFETY: The kernel passes a registered device of ours, with its addresses locked.
    let (this, device) = unsafe { (data::<T>(dev), OwnDevice::from_raw(dev)) };
    this.set_rx_mode(device, &AddressLock(PhantomData));
}

/// # Safety
///
/// Only the kernel may call it, as `ndo_uninit`.
unsafe extern "C" fn uninit<T: Driver>(dev: *mut bindings::net_device) {
    // SAFETY: The kernel passes a device of ours that it unregisters, or failed
    // to register, with RTNL held.
    let (this, device, rtnl) = unsafe {
        (
            data::<T>(dev),
            OwnDevice::from_raw(dev),
            Rtnl::assume_held(),
        )
    };
    this.uninit(device, &rtnl);
}

/// # Safety
///
/// Only the kernel may call it, as `ndo_start_xmit`.
unsafe extern "C" fn start_xmit<T: Driver>(
    skb: *mut bindings::sk_buff,
    dev: *mut bindings::net_device,
) -> bindings::netdev_tx_t {
    // SAFETY: The kernel passes a registered device of ours under RCU, and a
    // buffer that is ours now.
    unsafe {
        let device = OwnDevice::from_raw(dev);
        data::<T>(dev).start_xmit(device, XmitSkb::from_raw(skb), super::rcu::held());
    }
    bindings::netdev_tx_NETDEV_TX_OK
}

/// # Safety
///
/// Only the kernel may call it, as `ndo_work`.
unsafe extern "C" fn work<T: Driver>(dev: *mut bindings::net_device, bits: c_ulong) {
    // SAFETY: The kernel passes a registered device of ours, with RTNL held.
    let (this, device, rtnl) = unsafe {
        (
            data::<T>(dev),
            OwnDevice::from_raw(dev),
            Rtnl::assume_held(),
        )
    };
    this.work(device, bits as u32, &rtnl);
}

/// # Safety
///
/// Only the kernel may call it, as `ndo_get_iflink`.
unsafe extern "C" fn iflink<T: Driver>(dev: *const bindings::net_device) -> c_int {
    // SAFETY: The kernel passes a registered device of ours.
    let (this, device) = unsafe { (data::<T>(dev.cast_mut()), Device::from_raw(dev)) };
    let ifindex = this.iflink().unwrap_or_else(|| device.ifindex());
    c_int::try_from(ifindex).unwrap_or(0)
}
