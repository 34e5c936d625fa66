//! Where what is measured and its generator stand: in namespaces of their own, joined by a cable, or on loopback.

use std::{
    net::{Ipv4Addr, UdpSocket},
    process::{ChildStdout, Command},
};

use anyhow::Result;
use switchhook_netlab::Host;

use crate::{process::Running, report::Report};

/// See the module.
pub(crate) struct Line {
    /// None: loopback.
    server: Option<Host>,
    server_ip: Ipv4Addr,
    own_ip: Ipv4Addr,
}

impl Line {
    /// Works as the generator: whatever is opened in there stands at the other end from what is measured. The report says
    /// where no namespaces are to be had.
    pub(super) fn lay<T: Send>(
        report: &mut Report,
        work: impl FnOnce(&Self) -> Result<T> + Send,
    ) -> Result<T> {
        match switchhook_netlab::line() {
            Ok([server, generator]) => {
                let (server_ip, own_ip) = (server.ip(), generator.ip());
                let line = Self { server: Some(server), server_ip, own_ip };
                generator.enter(|| work(&line))?
            }
            Err(reason) => {
                report.skipped("namespaces; everything is on loopback", &format!("{reason:#}"));
                work(&Self { server: None, server_ip: Ipv4Addr::LOCALHOST, own_ip: Ipv4Addr::LOCALHOST })
            }
        }
    }

    /// The address of what is measured.
    pub(super) const fn server_ip(&self) -> Ipv4Addr {
        self.server_ip
    }

    /// The generator's address: that of clients and peers.
    pub(super) const fn own_ip(&self) -> Ipv4Addr {
        self.own_ip
    }

    /// A socket of the generator's.
    pub(super) fn bind(&self) -> Result<UdpSocket> {
        Ok(UdpSocket::bind((self.own_ip, 0))?)
    }

    /// Starts what is measured, at its end; gives its output beside it.
    pub(super) fn start(&self, command: &mut Command) -> Result<(Running, ChildStdout)> {
        match &self.server {
            Some(server) => server.enter(|| Running::start(command))?,
            None => Running::start(command),
        }
    }

    /// A port that is free at its end.
    pub(super) fn free_port(&self) -> Result<u16> {
        let bind = || Ok(UdpSocket::bind((self.server_ip, 0))?.local_addr()?.port());
        match &self.server {
            Some(server) => server.enter(bind)?,
            None => bind(),
        }
    }
}
