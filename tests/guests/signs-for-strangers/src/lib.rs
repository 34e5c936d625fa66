//! Wants a signature for a device that nobody named: whoever had it could register the number there.

use switchhook_plugin::{
    Context, Description, Refusal,
    registration::{Effect, Event, RegistrationMethod, Signature, Transition},
};

struct Guest;

switchhook_plugin::export!(RegistrationMethod: Guest);

impl RegistrationMethod for Guest {
    fn describe() -> Description {
        Description::new("signs-for-strangers", "1.0.0", "Wants a signature for a device that nobody named.")
    }

    fn step(_: &Context, _: Option<Vec<u8>>, _: Event) -> Result<Transition, Refusal> {
        let signature = Signature {
            to: "+15550100".to_owned(),
            push_token: "a-token-of-somebody".to_owned(),
            device: "aaaaaaaaaaaaaaaaaaaa".to_owned(),
            expires_in: 60_000,
        };
        Ok(Transition { state: vec![], effects: vec![Effect::SendSignature(signature)], expires_in: 60_000 })
    }
}
