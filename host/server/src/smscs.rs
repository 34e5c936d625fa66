//! The SMSCs that this node keeps bound to, a gateway of some tenant each.
//!
//! Rows are the truth: what they say is compared with what is bound when somebody changed a gateway here, and
//! every [`limits::LOOK_AT_GATEWAYS`] for changes on other nodes. A text does not wait for that: its own row says
//! what its gateway is. A gateway whose account has changed is bound anew; the former connection ends when its
//! last text has. At the end of the process the outbox finishes first, then the connections are left.

mod heard;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use switchhook_core::{
    row::{Gateway, Provider, SmppAccount},
    seal::Purpose,
};
use switchhook_delivery::{
    limits::SMPP_HEARD,
    smpp::{Account, Smpp},
};
use switchhook_protocol::id::{GatewayId, TenantId};
use switchhook_storage::StorageError;
use tokio::{
    sync::{Notify, mpsc},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::error;

use self::heard::hear;
use crate::{app::App, causes::Causes, limits};

/// What is bound.
#[derive(Debug, Default)]
pub(crate) struct Smscs {
    bound: Mutex<Bound>,
    changed: Notify,
    /// What serves the connections.
    tasks: TaskTracker,
    /// They are left: later than other work ends, which may still have texts for them.
    leave: CancellationToken,
}

/// A gateway of a tenant.
type Whose = (TenantId, GatewayId);

/// Gateways, each with the account that it is bound by.
type Bound = HashMap<Whose, (Account, Smpp)>;

/// The gateway of this row, which this node begins to bind to if it has not; none if it is no SMSC, or its
/// password does not open.
pub(crate) fn of(app: &Arc<App>, tenant: &TenantId, row: Gateway) -> Option<Smpp> {
    let (whose, account) = account(app, tenant.clone(), row)?;
    Some(bound(app, &mut app.smscs.lock(), whose, account))
}

impl Smscs {
    /// Somebody changed a gateway here.
    pub(crate) fn hint(&self) {
        self.changed.notify_one();
    }

    /// Leaves all, when whatever has texts for them has ended or had its time.
    pub(crate) fn leave(&self) {
        self.leave.cancel();
    }

    /// The same, and waits for what was begun.
    pub(crate) async fn finish(&self) {
        self.leave();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, Bound> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what is bound as the rows say, until told to stop.
pub(crate) async fn work(app: Arc<App>) {
    loop {
        if let Err(trouble) = compare(&app).await {
            error!(error = %Causes(&trouble), "the gateways cannot be read");
        }
        tokio::select! {
            biased;
            () = app.stop.cancelled() => return,
            () = app.smscs.changed.notified() => {}
            () = time::sleep(limits::LOOK_AT_GATEWAYS) => {}
        }
    }
}

async fn compare(app: &Arc<App>) -> Result<(), StorageError> {
    let wanted: HashMap<Whose, Account> = app
        .storage
        .kept_gateways()
        .await?
        .into_iter()
        .filter_map(|row| {
            let unread = |wrong: &StorageError| error!(error = %Causes(wrong), "a gateway cannot be read");
            let (tenant, row) = row.inspect_err(unread).ok()?;
            account(app, tenant, row)
        })
        .collect();
    let mut kept = app.smscs.lock();
    kept.retain(|whose, _| wanted.contains_key(whose));
    for (whose, account) in wanted {
        bound(app, &mut kept, whose, account);
    }
    drop(kept);
    Ok(())
}

/// The gateway of this account, bound anew if it was another's.
fn bound(app: &Arc<App>, kept: &mut Bound, whose: Whose, account: Account) -> Smpp {
    if let Some((same, smpp)) = kept.get(&whose)
        && *same == account
    {
        return smpp.clone();
    }
    let (heard, hearing) = mpsc::channel(SMPP_HEARD);
    let Smscs { tasks, leave, .. } = &app.smscs;
    tasks.spawn(hear(Arc::clone(app), whose.clone(), hearing));
    let smpp = Smpp::start(account.clone(), app.gateway_peers.clone(), heard, tasks, leave);
    kept.insert(whose, (account, smpp.clone()));
    smpp
}

/// The account of a row; none if it is no SMSC, or its password does not open.
fn account(app: &App, tenant: TenantId, row: Gateway) -> Option<(Whose, Account)> {
    let Provider::Smpp(account) = row.provider else { return None };
    let SmppAccount { address, tls, system_id, system_type, unknown_is_international, window } = account;
    let password = app.keys.of(&tenant).open_bytes(Purpose::Secret, &row.secret).ok()?;
    let account = Account {
        address,
        tls,
        system_id,
        password: String::from_utf8(password).ok()?,
        system_type,
        unknown_is_international,
        window: window.into(),
        number: row.number,
    };
    Some(((tenant, row.id), account))
}
