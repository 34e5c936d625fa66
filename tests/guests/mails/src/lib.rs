//! Mails a link, and registers the address that it proves; or mails a few words: a fine guest.
//!
//! The device fills in `address`, and `subject` if there is no link to be mailed. While a mail is in doubt, or has
//! failed, it waits.

use switchhook_plugin::{
    Context, Description, Refusal,
    registration::{Delivery, Effect, Event, Field, Mail, Proof, RegistrationMethod, Transition},
};

struct Guest;

switchhook_plugin::export!(RegistrationMethod: Guest);

impl RegistrationMethod for Guest {
    fn describe() -> Description {
        Description::new("mails", "1.0.0", "Mails a link and registers the address that it proves.")
    }

    fn step(_: &Context, _: Option<Vec<u8>>, event: Event) -> Result<Transition, Refusal> {
        let effects = match event {
            Event::Begun(fields) => vec![mail(&fields)?],
            Event::MailSent(Delivery::Sent | Delivery::Delivered | Delivery::Failed | Delivery::InDoubt) => {
                vec![]
            }
            Event::LinkOpened(address) => vec![Effect::Bind(address), Effect::Finish],
            _ => return Err(Refusal::new("unexpected", "This registration does not go on like that.")),
        };
        Ok(Transition { state: vec![], effects, expires_in: HOUR })
    }
}

const HOUR: u64 = 3_600_000;

fn mail(fields: &[Field]) -> Result<Effect, Refusal> {
    let value = |name| fields.iter().find(|field| field.name == name).map(|field| field.value.clone());
    let to = value("address").ok_or_else(|| Refusal::new("missing", "A field is missing."))?;
    Ok(match value("subject") {
        Some(subject) => Effect::SendMail(Mail { to, subject, text: "A few words.".to_owned() }),
        None => Effect::SendLink(Proof { to, expires_in: HOUR }),
    })
}
