//! What an SMSC hands in: texts of phones, parts of long ones, receipts.
//!
//! SMPP has no ids for texts of phones, and an SMSC that has not heard the answer hands a text in again. So a text's
//! id is made of what it says, from whom to whom, and of the time in steps of [`limits::HANDED_IN`]: what was
//! taken in this step or the one before is not taken again, unless the text that answers it has failed. Whoever wants texts no more, or again, is heeded each
//! time: between two such wishes there may be another.
//!
//! Parts are rows, sealed, until all have come, to whichever node; they are forgotten with the commit that takes the
//! text which they make, or when it has been refused. What is to come again is the last part alone.

use std::{collections::BTreeSet, sync::Arc};

use data_encoding::BASE32_NOPAD;
use sha2::{Digest as _, Sha256};
use switchhook_core::{
    mint,
    row::{TextPart, TransitAnswer},
    seal::Purpose,
    transit::keyword,
};
use switchhook_delivery::smpp::{Answer, Heard, Part, Received};
use switchhook_protocol::{endpoint::EndpointId, error::ErrorCode, id::GatewayId, time::millis};
use switchhook_storage::StorageError;
use tokio::sync::mpsc;
use tracing::debug;

use super::Whose;
use crate::{
    app::App,
    flows::{
        FlowError,
        receipt::{self, About},
        text::{self, Origin, TextAccepted, TextReport},
    },
    limits,
};

/// Takes what an SMSC hands in, each in a task of its own: the SMSC bounds how many.
pub(super) async fn hear(app: Arc<App>, whose: Whose, mut hearing: mpsc::Receiver<Received>) {
    while let Some(Received { heard, answer }) = hearing.recv().await {
        let (app, whose) = (Arc::clone(&app), whose.clone());
        let tasks = app.smscs.tasks.clone();
        tasks.spawn(async move {
            let said = take(&app, &whose, heard).await;
            debug!(tenant.id = %whose.0, gateway.id = %whose.1, ?said, "an SMSC handed something in");
            // A connection that has ended hands it in again.
            answer.send(said).ok();
        });
    }
}

async fn take(app: &App, whose: &Whose, heard: Heard) -> Answer {
    match heard {
        Heard::Text { from, to, text } => {
            let (reference, total) = (0, 1);
            said(take_text(app, whose, Text { from, to, says: text, reference, total }, None).await)
        }
        Heard::Part(part) => take_part(app, whose, part).await,
        Heard::Receipt { reference, delivered } => {
            let (tenant, gateway) = whose;
            said(receipt::receipt(app, tenant, gateway, About::Reference(&reference), delivered).await)
        }
    }
}

/// A whole text, perhaps of several parts.
struct Text {
    from: EndpointId,
    to: String,
    says: String,
    /// Its parts' own number of it; none has 0.
    reference: u16,
    total: u8,
}

/// Takes a whole text; the parts that it was joined from are then forgotten.
async fn take_text(app: &App, whose: &Whose, handed: Text, parts: Option<&str>) -> Result<(), FlowError> {
    let (tenant, gateway) = whose;
    let step = app.now().as_millis() / millis(limits::HANDED_IN).max(1);
    let id = if keyword::wish(&handed.says).is_some() {
        mint::message(&mut app.rng()).to_string()
    } else {
        let Some(id) = unheard(app, whose, &handed, step).await? else { return Ok(()) };
        id
    };
    let origin = Origin { digest: Sha256::digest(&id).into(), parts };
    let Text { from, to, says: text, .. } = handed;
    text::text(app, tenant, gateway, &TextReport { id, from, to, text }, origin).await.map(drop)
}

/// The id by which a text is to be heard; none if it has been. What was heard and whose answer then failed is heard again,
/// as another: nobody else brings its sender an answer.
async fn unheard(app: &App, whose: &Whose, handed: &Text, step: u64) -> Result<Option<String>, FlowError> {
    for turn in 0..limits::HEARD_AGAIN {
        let ids = ids(app, whose, handed, (step, turn));
        let before = self::ids(app, whose, handed, (step.saturating_sub(1), turn));
        match heard(app, whose, &[ids.as_slice(), &before].concat()).await? {
            None => return Ok(ids.into_iter().next()),
            Some(answered) if !has_failed(app, whose, &answered).await? => return Ok(None),
            Some(_) => {}
        }
    }
    Err(ErrorCode::RateLimited.into())
}

async fn heard(
    app: &App,
    (tenant, gateway): &Whose,
    ids: &[String],
) -> Result<Option<TransitAnswer>, StorageError> {
    let (storage, mut answered) = (app.storage.of(tenant), None);
    for id in ids {
        answered = answered.or(storage.gateways().answer(gateway, id).await?);
    }
    Ok(answered)
}

/// Whether the text that answered is known not to have been sent.
async fn has_failed(app: &App, (tenant, _): &Whose, answered: &TransitAnswer) -> Result<bool, StorageError> {
    let accepted: Option<TextAccepted> = serde_json::from_str(&answered.answer).ok();
    match accepted.as_ref().and_then(TextAccepted::attempt) {
        Some(attempt) => app.storage.of(tenant).has_failed_texts(attempt).await,
        None => Ok(false),
    }
}

/// The ids of a text, one by each key, the current one's first: the same for one that comes again, and of no use to
/// whoever reads them.
fn ids(app: &App, (tenant, gateway): &Whose, handed: &Text, (step, turn): (u64, u8)) -> Vec<String> {
    let Text { from, to, says, reference, total } = handed;
    let place = [reference.to_be_bytes().as_slice(), &[*total]].concat();
    let parts: [&[u8]; 7] = [
        gateway.as_str().as_bytes(),
        from.reveal().as_bytes(),
        to.as_bytes(),
        says.as_bytes(),
        &place,
        &step.to_be_bytes(),
        &[turn],
    ];
    app.keys.of(tenant).macs("text-handed-in", &parts).iter().map(|mac| BASE32_NOPAD.encode(mac)).collect()
}

async fn take_part(app: &App, whose: &Whose, part: Part) -> Answer {
    let (message, whole) = match keep(app, whose, &part).await {
        Ok((message, Some(whole))) => (message, whole),
        Ok((_, None)) => return Answer::Taken,
        Err(trouble) => return said(Err(trouble)),
    };
    let Part { from, to, reference, total, .. } = part;
    let text = Text { from, to, says: whole, reference, total };
    let answer = said(take_text(app, whose, text, Some(&message)).await);
    if answer == Answer::Later {
        return answer;
    }
    // Of a refusal, and of a repeat, nothing was committed.
    match forget(app, whose, message).await {
        Ok(()) => answer,
        Err(trouble) => said(Err(trouble.into())),
    }
}

/// Keeps a part, with those that came before; the text, if all its parts are there.
async fn keep(app: &App, whose: &Whose, part: &Part) -> Result<(String, Option<String>), FlowError> {
    let (tenant, gateway) = whose;
    let keys = app.keys.of(tenant);
    let mut messages = messages(app, whose, part);
    let mut row = TextPart {
        gateway: gateway.clone(),
        message: messages.pop().unwrap_or_default(),
        number: part.number,
        part: keys.seal_bytes(Purpose::Outbox, part.text.as_bytes(), &mut app.rng()),
        at: app.now(),
    };
    let storage = app.storage.of(tenant);
    let came = storage.run("text-part", async move |tx| {
        // A node at another step of a rotation may have taken the first of them.
        for message in messages {
            if !tx.text_parts(&row.gateway, &message).await?.is_empty() {
                row.message = message;
            }
        }
        tx.put_text_part(&row).await?;
        Ok::<_, StorageError>((tx.text_parts(&row.gateway, &row.message).await?, row.message))
    });
    let (came, message) = came.await?;
    let opened = came.into_iter().filter_map(|(number, sealed)| {
        let text = keys.open_bytes(Purpose::Outbox, &sealed).ok()?;
        Some((number, String::from_utf8(text).ok()?))
    });
    Ok((message, joined(opened.collect(), part.total)))
}

async fn forget(app: &App, (tenant, gateway): &Whose, message: String) -> Result<(), StorageError> {
    let gateway: GatewayId = gateway.clone();
    let storage = app.storage.of(tenant);
    storage.run("text-parts-joined", async move |tx| tx.forget_text_parts(&gateway, &message).await).await
}

/// What the parts of one text have in common, as keys that say nothing about whose it is: one by each key of the host,
/// the current one's last.
fn messages(app: &App, (tenant, gateway): &Whose, part: &Part) -> Vec<String> {
    let place = [part.reference.to_be_bytes().as_slice(), &[part.total]].concat();
    let parts: [&[u8]; 4] =
        [gateway.as_str().as_bytes(), part.from.reveal().as_bytes(), part.to.as_bytes(), &place];
    app.keys.of(tenant).macs("text-part", &parts).iter().rev().map(|mac| BASE32_NOPAD.encode(mac)).collect()
}

/// The text of all its parts, which come in order; none while one is missing.
fn joined(came: Vec<(u8, String)>, total: u8) -> Option<String> {
    let numbers: BTreeSet<u8> = came.iter().map(|(number, _)| *number).collect();
    (1..=total)
        .all(|number| numbers.contains(&number))
        .then(|| came.into_iter().map(|(_, text)| text).collect())
}

/// What an SMSC is told.
fn said(taken: Result<(), FlowError>) -> Answer {
    let Err(refused) = taken else { return Answer::Taken };
    // The host's own trouble passes, and so does a time with too many texts.
    let code = refused.into_body("smpp").code;
    let passes = code == ErrorCode::RateLimited || code.status() >= 500;
    if passes { Answer::Later } else { Answer::Refused }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn reg_2_a_text_too_many_is_to_come_later_and_one_that_nobody_wants_is_not() {
        assert_eq!(said(Err(FlowError::too_often(Duration::from_secs(1)))), Answer::Later);
        assert_eq!(said(Err(FlowError::overloaded())), Answer::Later);
        assert_eq!(said(Err(ErrorCode::NotClaimed.into())), Answer::Refused);
    }

    #[test]
    fn reg_2_a_text_is_whole_when_all_its_parts_have_come() {
        let part = |number, text: &str| (number, text.to_owned());
        assert_eq!(joined(vec![part(1, "a"), part(2, "b")], 2).unwrap(), "ab");
        assert_eq!(joined(vec![part(1, "a"), part(3, "c")], 3), None);
        assert_eq!(joined(vec![], 1), None);
    }
}
