//! What a LAN and its gateways do beyond the kind of their NAT.

use std::{
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use switchhook_netlab::{Lab, Nat, meet, reported};

/// Only a broken lab is waited for this long.
const GUARD: Duration = Duration::from_secs(20);

#[test]
fn behind_two_nats_the_stricter_one_counts() -> Result<()> {
    let Some(lab) = Lab::or_skip("behind_two_nats_the_stricter_one_counts")? else { return Ok(()) };
    let other = lab.site(Nat::PortRestricted)?;
    for (nats, meets) in [
        ([Nat::FullCone, Nat::PortRestricted], true),
        ([Nat::Symmetric, Nat::FullCone], false),
        ([Nat::Masquerade, Nat::Symmetric], false),
        ([Nat::PortRestricted, Nat::Masquerade], true),
    ] {
        let site = lab.behind(&nats)?;
        let met = meet(&lab, site.host(), other.host()).with_context(|| format!("{nats:?}"))?;
        assert_eq!(met.is_some(), meets, "{nats:?}: {met:?}");
        let seen = reported(&lab, site.host())?.context("no way out")?;
        assert_eq!(seen.ip(), site.outermost().context("no gateway")?.outside());
    }
    Ok(())
}

#[test]
fn two_hosts_of_one_lan_meet_by_their_outer_addresses_only_with_hairpin() -> Result<()> {
    let Some(lab) = Lab::or_skip("two_hosts_of_one_lan_meet_by_their_outer_addresses_only_with_hairpin")?
    else {
        return Ok(());
    };
    for nat in [Nat::FullCone, Nat::PortRestricted] {
        let site = lab.site(nat)?;
        let neighbour = site.neighbour()?;
        assert_eq!(meet(&lab, site.host(), &neighbour)?, None, "{nat}");
        site.innermost().context("no gateway")?.set_hairpin(true)?;
        assert!(meet(&lab, site.host(), &neighbour)?.is_some(), "{nat}");
    }
    Ok(())
}

#[test]
fn two_hosts_of_one_lan_reach_each_other_inside_it() -> Result<()> {
    let Some(lab) = Lab::or_skip("two_hosts_of_one_lan_reach_each_other_inside_it")? else { return Ok(()) };
    let site = lab.site(Nat::Symmetric)?;
    let neighbour = site.neighbour()?;
    let (here, there) = (socket(&site, 0)?, guarded(neighbour.bind(0)?)?);
    here.send_to(b"hello", there.local_addr()?)?;
    assert_eq!(sender(&there)?, here.local_addr()?);
    Ok(())
}

#[test]
fn private_addresses_are_the_same_everywhere_and_lead_to_ones_own_lan() -> Result<()> {
    let Some(lab) = Lab::or_skip("private_addresses_are_the_same_everywhere_and_lead_to_ones_own_lan")?
    else {
        return Ok(());
    };
    let [a, b] = lab.pair(Nat::FullCone, Nat::Masquerade)?;
    assert_eq!(a.host().ip(), b.host().ip());
    let (asking, listening) = (socket(&a, 0)?, socket(&b, 5_000)?);
    // It comes back to the sender's own machine, where nobody listens, and so does the next.
    asking.send_to(b"hello", listening.local_addr()?)?;
    let to_server = guarded(lab.server().bind(0)?)?;
    listening.send_to(b"ping", to_server.local_addr()?)?;
    to_server.send_to(b"pong", sender(&to_server)?)?;
    assert_eq!(sender(&listening)?, to_server.local_addr()?, "nothing came before the pong");
    Ok(())
}

#[test]
fn where_no_udp_gets_out_tcp_does() -> Result<()> {
    let Some(lab) = Lab::or_skip("where_no_udp_gets_out_tcp_does")? else { return Ok(()) };
    for (nat, ports) in [(Nat::NoUdp, &[80, 443][..]), (Nat::HttpsOnly, &[443]), (Nat::Symmetric, &[80, 443])]
    {
        let site = lab.site(nat)?;
        assert_eq!(reported(&lab, site.host())?.is_some(), nat.behaviour().is_some(), "{nat}");
        for port in ports {
            let listener = lab.server().enter(|| TcpListener::bind((lab.server().ip(), *port)))??;
            let to = listener.local_addr()?;
            let _connected = site.host().enter(|| TcpStream::connect_timeout(&to, GUARD))??;
            let (_, from) = listener.accept()?;
            assert_eq!(from.ip(), site.outermost().context("no gateway")?.outside(), "{nat}");
        }
    }
    Ok(())
}

#[test]
fn a_mapping_ends_when_nothing_was_sent_for_its_life() -> Result<()> {
    let Some(lab) = Lab::or_skip("a_mapping_ends_when_nothing_was_sent_for_its_life")? else { return Ok(()) };
    let site = lab.site(Nat::SymmetricSequential)?;
    let gateway = site.innermost().context("no gateway")?;
    let (host, server) = (socket(&site, 0)?, guarded(lab.server().bind(0)?)?);
    let seen = || -> Result<SocketAddr> {
        host.send_to(b"hello", server.local_addr()?)?;
        sender(&server)
    };

    let first = seen()?;
    // Of a life of 120 seconds, with room for a machine that stalls.
    gateway.put_clock_forward(Duration::from_secs(90))?;
    assert_eq!(seen()?, first, "kept by sending");
    gateway.put_clock_forward(Duration::from_secs(90))?;
    server.send_to(b"still there?", first)?;
    assert_eq!(sender(&host)?, server.local_addr()?);
    gateway.put_clock_forward(Duration::from_secs(40))?;
    assert_eq!(seen()?.port(), first.port() + 1, "receiving did not keep it");
    Ok(())
}

#[test]
fn a_site_that_gets_another_address_is_seen_there_and_no_more_where_it_was() -> Result<()> {
    let Some(lab) = Lab::or_skip("a_site_that_gets_another_address_is_seen_there_and_no_more_where_it_was")?
    else {
        return Ok(());
    };
    let site = lab.site(Nat::FullCone)?;
    let (host, server) = (socket(&site, 0)?, guarded(lab.server().bind(0)?)?);
    host.send_to(b"hello", server.local_addr()?)?;
    let before = sender(&server)?;

    let moved_to = lab.renumber(&site)?;
    server.send_to(b"to the old address", before)?;
    host.send_to(b"hello again", server.local_addr()?)?;
    let after = sender(&server)?;
    assert_eq!(after.ip(), moved_to);
    server.send_to(b"new", after)?;
    let mut buffer = [0; 64];
    let (length, _) = host.recv_from(&mut buffer)?;
    assert_eq!(&buffer[..length], b"new", "the old address leads nowhere");
    Ok(())
}

#[test]
fn who_talks_while_the_address_changes_keeps_the_port() -> Result<()> {
    let Some(lab) = Lab::or_skip("who_talks_while_the_address_changes_keeps_the_port")? else {
        return Ok(());
    };
    let site = lab.site(Nat::FullCone)?;
    let (host, server) = (socket(&site, 0)?, guarded(lab.server().bind(0)?)?);
    let to = server.local_addr()?;
    host.send_to(b"hello", to)?;
    let before = sender(&server)?;
    for _ in 0..3 {
        let moved = AtomicBool::new(false);
        let moved_to = thread::scope(|scope| {
            scope.spawn(|| {
                // What is sent while the gateway has no address is refused here and there.
                while !moved.load(Ordering::Relaxed) {
                    _ = host.send_to(b"talk", to);
                    thread::sleep(Duration::from_micros(200));
                }
            });
            let moved_to = lab.renumber(&site);
            moved.store(true, Ordering::Relaxed);
            moved_to
        })?;
        // Queues may be full of talk: hello is said until it is heard.
        server.set_read_timeout(Some(Duration::from_millis(20)))?;
        let said_and_heard = || {
            host.send_to(b"hello again", to).ok()?;
            sender(&server).ok()
        };
        let heard = std::iter::repeat_with(said_and_heard).take(1_000).flatten();
        let after = { heard }.find(|from| from.ip() == moved_to).context("nothing comes from there")?;
        assert_eq!(after.port(), before.port());
    }
    Ok(())
}

#[test]
fn a_probe_with_a_short_life_opens_the_own_nat_and_gets_no_further() -> Result<()> {
    let Some(lab) = Lab::or_skip("a_probe_with_a_short_life_opens_the_own_nat_and_gets_no_further")? else {
        return Ok(());
    };
    let site = lab.site(Nat::PortRestricted)?;
    let (host, server) = (socket(&site, 0)?, guarded(lab.server().bind(0)?)?);
    host.set_ttl(2)?;
    host.send_to(b"short", server.local_addr()?)?;
    host.set_ttl(64)?;
    host.send_to(b"long", server.local_addr()?)?;
    let mut buffer = [0; 64];
    let (length, _) = server.recv_from(&mut buffer)?;
    assert_eq!(&buffer[..length], b"long");
    Ok(())
}

#[test]
fn a_companion_ends_with_its_owner() -> Result<()> {
    let Some(lab) = Lab::or_skip("a_companion_ends_with_its_owner")? else { return Ok(()) };
    let mut companion = lab.server().start("sh", &["-c", "echo $$; exec sleep infinity"])?;
    let number = companion.next_line()?;
    let is_alive =
        || Command::new("kill").args(["-0", number.trim()]).output().map(|output| output.status.success());
    assert!(is_alive()?);
    drop(companion);
    assert!(!is_alive()?);
    Ok(())
}

fn socket(site: &switchhook_netlab::Site, port: u16) -> Result<UdpSocket> {
    guarded(site.host().bind(port)?)
}

fn guarded(socket: UdpSocket) -> Result<UdpSocket> {
    socket.set_read_timeout(Some(GUARD))?;
    Ok(socket)
}

/// Where the next datagram comes from.
fn sender(socket: &UdpSocket) -> Result<SocketAddr> {
    Ok(socket.recv_from(&mut [0; 64])?.1)
}
