//! Switchhook for apps: enrol, connect, register, invite, accept, and an encrypted data path.
//!
//! A device enrols once ([`Client::enrol`]) and stores its [`Identity`](identity::Identity). It
//! connects ([`Client::connect`]), and from then on the client keeps the connection up by itself. What
//! happens arrives as [`Events`], each seen once; what is asked for is a call with an answer, typed
//! by [`switchhook_protocol`]. [`ringer`] rings and proves silence, [`registration`] registers a
//! number by SMS and [`carriers`] knows whom to text, [`mailbox`] proves an address by the mail that came there, and
//! [`call`] finds a path to the other side and carries encrypted datagrams. [`nat`] is what it finds out about the network,
//! where [asked to](Client::survey).
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use switchhook_client::{
//!     Client, ClientEvent, Settings,
//!     call::{Call, Prepared, Side},
//!     identity::DeviceKey,
//!     network::SystemNetwork,
//! };
//! use switchhook_protocol::{event::Event, invitation::{Invite, TakeMode}};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings::new("ws://127.0.0.1:7470", "default".parse()?, "phone".parse()?);
//! let key = DeviceKey::generate(&mut rand::rng());
//! let identity = Client::enrol(&settings, key).await?; // once; store it
//! let (client, mut events) = Client::connect(settings, identity).await?;
//!
//! let network = Arc::new(SystemNetwork::default());
//! let prepared = Prepared::new(&client, &*network).await?;
//! let status = client
//!     .invite(&Invite {
//!         invited: vec!["+15550101".parse()?],
//!         dialled: vec![],
//!         from: "+15550100".parse()?,
//!         purpose: "audio".into(),
//!         display_name: "Alice".into(),
//!         connection_data: prepared.connection_data().clone(),
//!         session_key: prepared.session_key().clone(),
//!         take: TakeMode::First,
//!         idempotency_key: None,
//!     })
//!     .await?;
//!
//! while let Some(event) = events.next().await {
//!     let ClientEvent::Event(delivered) = event else { continue };
//!     let Event::Accept(accepted) = delivered.event else { continue };
//!     if accepted.session == status.session {
//!         let mut call = Call::start(&client, network, prepared, Side::Inviter, accepted).await?;
//!         call.send(b"hello")?;
//!         println!("{:?}", call.recv().await);
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod call;
pub mod carriers;
mod client;
mod connection;
mod enrolment;
mod exchange;
pub mod fake;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gather;
pub mod identity;
pub mod limits;
pub mod mailbox;
pub mod nat;
pub mod network;
mod path;
pub mod profile;
pub mod registration;
pub mod relay;
mod repeat;
pub mod ringer;
mod secure;
mod sessions;
mod settings;
mod stun;

pub use client::{CallError, Client, ClientEvent, ConnectError, Events, Finished};
pub use connection::dial::DialError;
pub use enrolment::EnrolError;
pub use gather::gather;
pub use settings::Settings;
