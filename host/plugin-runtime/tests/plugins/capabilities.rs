//! Guests that keep the contract and use more of it: answers of services, pairs, several versions.

use switchhook_built_guests as guests;
use switchhook_core::policy::{
    Answer, Facts,
    registration::{Effect, Event, Pair, State},
    route::{Routed, TargetIndex},
};
use switchhook_plugin_runtime::{ActivePlugin, Failure, Slot};

use crate::harness::{Host, active, context, invite, plan};

pub(crate) mod hunts {
    use super::*;

    #[tokio::test]
    async fn rings_phones_first_and_the_rest_after_its_configured_pause() {
        let host = Host::new();
        host.activate(guests::HUNTS, Slot::InviteRouter, "7").await;
        let decision = host.route(3).await;
        let waves = &plan(&decision).waves;
        let targets = |wave: usize| waves[wave].rings.iter().map(|ring| ring.target).collect::<Vec<_>>();
        assert_eq!((targets(0), targets(1)), (vec![TargetIndex(0), TargetIndex(2)], vec![TargetIndex(1)]));
        assert_eq!(waves[1].starts_after.as_secs(), 7);
    }
}

pub(crate) mod asks_the_service {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn asks_first_and_decides_by_the_answer_and_by_a_pair() {
        let mut host = Host::new();
        host.activate(guests::ASKS_THE_SERVICE, Slot::InviteRouter, r#""https://crm.test/""#).await;
        let Routed::Ask(asked) = host.route(3).await.outcome else { panic!("it asks") };
        assert_eq!((asked[0].url.as_str(), &*asked[0].body), ("https://crm.test/", &b"+15550100"[..]));

        host.facts =
            Arc::new(Facts { pairs: [("last".to_owned(), b"bob".to_vec())].into(), ..Facts::default() });
        let mut question = invite(3);
        question.answers = vec![Answer { id: "crm".to_owned(), outcome: Ok(b"tablet".to_vec()) }];
        let decision = host.slots.route(&context(), &question, &host.facts).await;

        let rings = &plan(&decision).waves[0].rings;
        assert_eq!(rings.iter().map(|ring| ring.target).collect::<Vec<_>>(), [TargetIndex(1)]);
        let log: Vec<&str> = decision.log.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(log, ["the service says tablet", "last is bob"]);
    }
}

pub(crate) mod asks_the_system {
    use switchhook_core::policy::Context;
    use switchhook_plugin_runtime::Decision;

    use super::*;

    async fn running(configuration: &str) -> Host {
        let host = Host::new();
        host.activate(guests::ASKS_THE_SYSTEM, Slot::InviteRouter, configuration).await;
        host
    }

    fn log<T>(decision: &Decision<T>) -> Vec<&str> {
        decision.log.iter().map(|line| line.text.as_str()).collect()
    }

    #[tokio::test]
    async fn finds_clock_and_randomness_of_its_call_and_no_authority() {
        let host = running("{}").await;
        let (first, again) = (host.route(2).await, host.route(2).await);
        assert_eq!(plan(&first).waves[0].rings.len(), 2);
        assert_eq!(log(&first), log(&again), "the same call has the same system below it");
        let said: Vec<&str> = log(&first)[0].split('-').collect();
        let seconds = context().now.as_millis() / 1000;
        let [now, random, variables, directories] = said[..] else { panic!("{said:?}") };
        assert_eq!((now, variables, directories), (&*seconds.to_string(), "0", "0"));

        let other = Context { seed: (8, 15), ..context() };
        let other = host.slots.route(&other, &invite(2), &host.facts).await;
        assert_ne!(log(&other)[0].split('-').nth(1), Some(random), "another call has other randomness");
    }

    #[tokio::test]
    async fn cannot_sleep() {
        let slept = running(r#""sleep""#).await.route(2).await;
        let Some(Failure::Trapped(why)) = &slept.failure else { panic!("{:?}", slept.failure) };
        assert!(why.starts_with("a plugin cannot sleep"), "{why}");
    }

    #[tokio::test]
    async fn prints_no_more_than_its_log_holds() {
        let chatter = running(r#""chatter""#).await.route(2).await;
        assert_eq!(chatter.failure, None);
        assert_eq!(chatter.log.len(), 32);
    }
}

pub(crate) mod fetches {
    use switchhook_core::policy::registration::Fetched;

    use super::*;

    #[tokio::test]
    async fn asks_by_an_effect_and_goes_on_with_the_answer() {
        let host = Host::new();
        host.activate(guests::FETCHES, Slot::RegistrationMethod, r#""https://crm.test/""#).await;
        let begun = host.step("fetches", None, Event::Begun(vec![])).await.outcome.unwrap();
        assert!(matches!(&begun.effects[..], [Effect::Fetch(fetch)] if fetch.id == "name"));

        let fetched = Fetched { id: "name".to_owned(), outcome: Ok(b"bob".to_vec()) };
        let done = host.step("fetches", Some(&begun.state), Event::Fetched(fetched)).await.outcome.unwrap();

        let pair = Pair { key: "last".to_owned(), value: Some(b"bob".to_vec()) };
        let bound = Effect::Bind("bob".parse().unwrap());
        assert_eq!(done.effects, [Effect::Store(pair), bound, Effect::Finish]);
    }
}

pub(crate) mod texts_on {
    use switchhook_core::policy::registration::{Delivery, Field, Text};

    use super::*;

    #[tokio::test]
    async fn texts_a_second_number_when_the_first_has_its_text() {
        let host = Host::running(guests::TEXTS_ON, Slot::RegistrationMethod).await;
        let step =
            async |state: Option<&State>, event| host.step("texts-on", state, event).await.outcome.unwrap();
        let text = |to: &str| Text { to: to.parse().unwrap(), text: "hello".to_owned() };
        let field = |name: &str, value: &str| Field { name: name.to_owned(), value: value.to_owned() };
        let fields = vec![field("number", "+15550100"), field("then", "+15550101")];

        let begun = step(None, Event::Begun(fields)).await;
        let doubt = step(Some(&begun.state), Event::TextSent(Delivery::InDoubt)).await;
        let sent = step(Some(&doubt.state), Event::TextSent(Delivery::Sent)).await;

        assert_eq!(begun.effects, [Effect::SendText(text("+15550100"))]);
        assert_eq!(doubt.effects, []);
        assert_eq!(sent.effects, [Effect::SendText(text("+15550101")), Effect::Finish]);
    }
}

pub(crate) mod asks_conversions {
    use std::sync::Arc;

    use switchhook_core::{
        policy::registration::{Field, Proof},
        transit::conversion::Conversion,
    };

    use super::*;

    async fn begun(host: &Host, number: &str) -> Result<Vec<Effect>, String> {
        let field = Field { name: "number".to_owned(), value: number.to_owned() };
        let begun = host.step("asks-conversions", None, Event::Begun(vec![field])).await.outcome;
        begun.map(|transition| transition.effects).map_err(|refusal| refusal.message)
    }

    #[tokio::test]
    async fn reg_5_texts_no_numbers_whose_beginning_has_many_texts_and_no_proof() {
        let mut host = Host::running(guests::ASKS_CONVERSIONS, Slot::RegistrationMethod).await;
        let rented = Conversion { sent: 40, delivered: 39, proven: 0 };
        let fine = Conversion { sent: 40, delivered: 0, proven: 31 };
        let conversions = [("+99890".to_owned(), fine), ("+998901".to_owned(), rented)].into();
        host.facts = Arc::new(Facts { conversions, ..Facts::default() });

        let refused = begun(&host, "+998901234567").await;
        assert_eq!(refused, Err("40 sent, 39 delivered, none proven.".to_owned()));
        for number in ["+998931234567", "+4915112345678"] {
            let effects = begun(&host, number).await.unwrap();
            assert!(
                matches!(&effects[..], [Effect::SendCode(Proof { to, .. })] if to.reveal() == number),
                "{effects:?}"
            );
        }
        assert!(begun(&host, "bob").await.is_err(), "no number has a conversion, and none gets a code");
    }

    /// A component imports those functions alone that it was built to call: what is added to `facts` later is
    /// nothing to it.
    #[tokio::test]
    async fn plug_1_a_component_that_knows_no_conversions_is_taken_and_answers() {
        let host = Host::running(guests::ASKS_FACTS, Slot::InviteRouter).await;
        let names = |bytes: &[u8], name: &str| bytes.windows(name.len()).any(|at| at == name.as_bytes());
        assert!(names(guests::ASKS_CONVERSIONS, "conversion-of"));
        assert!(names(guests::ASKS_FACTS, "devices-of") && !names(guests::ASKS_FACTS, "conversion-of"));
        assert_eq!(host.route(2).await.failure, None);
    }
}

pub(crate) mod mails {
    use switchhook_core::policy::registration::{Delivery, Field, Mail};

    use super::*;

    #[tokio::test]
    async fn mails_a_link_and_registers_what_it_proves_or_mails_words() {
        let host = Host::running(guests::MAILS, Slot::RegistrationMethod).await;
        let step =
            async |state: Option<&State>, event| host.step("mails", state, event).await.outcome.unwrap();
        let field = |name: &str, value: &str| Field { name: name.to_owned(), value: value.to_owned() };
        let bob = || "bob@example.com".parse().unwrap();

        let begun = step(None, Event::Begun(vec![field("address", "bob@example.com")])).await;
        let sent = step(Some(&begun.state), Event::MailSent(Delivery::Sent)).await;
        let opened = step(Some(&sent.state), Event::LinkOpened(bob())).await;

        assert!(matches!(&begun.effects[..], [Effect::SendLink(proof)] if proof.to == bob()));
        assert_eq!(sent.effects, []);
        assert_eq!(opened.effects, [Effect::Bind(bob()), Effect::Finish]);
        let fields = vec![field("address", "bob@example.com"), field("subject", "Hello")];
        let words = step(None, Event::Begun(fields)).await;
        let mail = Mail { to: bob(), subject: "Hello".to_owned(), text: "A few words.".to_owned() };
        assert_eq!(words.effects, [Effect::SendMail(mail)]);
    }
}

/// An attempt asks the version that it began with, for as long as there is one (PLUG-1).
#[tokio::test]
async fn a_pinned_call_asks_its_version_until_that_is_forgotten() {
    let host = Host::new();
    let first = host.runtime.compile(guests::FETCHES, Slot::RegistrationMethod).await.unwrap();
    let second = host.runtime.compile(guests::FETCHES_FOR_EVER, Slot::RegistrationMethod).await.unwrap();
    let named = |plugin, version| ActivePlugin {
        name: "mine".parse().unwrap(),
        version,
        ..active(plugin, r#""https://crm.test/""#)
    };
    let tenant = context().tenant;
    host.slots.activate(&tenant, named(&first, 1)).unwrap();
    host.slots.activate(&tenant, named(&second, 2)).unwrap();
    let version = async |pinned| {
        let method = "mine".parse().unwrap();
        let happened = (None::<&State>, &Event::Begun(vec![]));
        let decision = host.slots.step(&context(), (&method, pinned), happened, &host.facts).await;
        decision.by.map(|by| by.version).ok_or(decision.failure)
    };

    assert_eq!((version(None).await, version(Some(1)).await, version(Some(2)).await), (Ok(2), Ok(1), Ok(2)));

    let mine = "mine".parse().unwrap();
    host.slots.forget(&tenant, Slot::RegistrationMethod, &mine, 1);
    assert_eq!(version(Some(1)).await, Err(Some(Failure::Killed)));
    host.slots.retire(&tenant, &mine, 2);
    assert_eq!((version(None).await, version(Some(2)).await), (Err(Some(Failure::Missing)), Ok(2)));
}
