//! Validation of addresses: the profile is asked first, the directory second, and only then a mail goes out (REG-7, REG-8).

use serde::{Deserialize, Serialize};
use switchhook_plugin::{
    Context, Refusal,
    facts::Standing,
    registration::{AddressState, Delivery, Effect, Event, Field, ProfileAddress, Proof, Scope, Transition},
};

use crate::{SECOND, Standings, State, issue, mail_address, over, settings::Settings, unexpected, wait};

/// An attempt to have addresses validated.
#[derive(Serialize, Deserialize)]
pub(crate) struct Validation {
    /// Those that the user has said neither yes nor no to.
    open: Vec<String>,
    /// When the links are over.
    until: u64,
}

impl Validation {
    /// Asks for a mail to each address that is not known as validated.
    pub(crate) fn begin(
        context: &Context,
        settings: &Settings,
        typed: &str,
        standing: Standings,
    ) -> Result<Transition, Refusal> {
        let mut open = typed.split_whitespace().map(mail_address).collect::<Result<Vec<_>, _>>()?;
        open.sort();
        open.dedup();
        if !(1..=MAX_ADDRESSES).contains(&open.len()) {
            return Err(Refusal::new("too-many-addresses", "One request is for 1 to 4 addresses."));
        }
        let life = settings.link_minutes * 60 * SECOND;
        let mut effects = Vec::new();
        for address in &open {
            if is_validated(standing(address)) {
                effects.push(set(address, AddressState::Validated));
            } else {
                effects.push(set(address, AddressState::Asked));
                effects.push(Effect::SendLink(Proof { to: address.clone(), expires_in: life }));
            }
        }
        effects.push(Effect::Ask(vec!["address".to_owned(), "register".to_owned()]));
        effects.push(Effect::After(life));
        let validation = Self { open, until: context.now + life };
        Ok(validation.wait(context, effects))
    }

    /// What follows while links are on their way and the user has not answered.
    pub(crate) fn step(
        self,
        context: &Context,
        settings: &Settings,
        event: Event,
        standing: Standings,
    ) -> Result<Transition, Refusal> {
        match event {
            Event::LinkOpened(address) if self.open.contains(&address) => {
                let effects =
                    vec![set(&address, AddressState::Validated), Effect::Notify("validated".to_owned())];
                Ok(self.wait(context, effects))
            }
            Event::Answered(fields) => self.answered(context, settings, &fields),
            Event::MailSent(Delivery::Failed) => {
                Ok(self.wait(context, vec![Effect::Notify("mail-not-sent".to_owned())]))
            }
            Event::MailSent(Delivery::Sent | Delivery::Delivered | Delivery::InDoubt) => {
                Ok(self.wait(context, vec![]))
            }
            // Who was told in time may take its time to answer.
            Event::Deadline if self.open.iter().any(|address| is_validated(standing(address))) => {
                Ok(self.wait(context, vec![]))
            }
            Event::Deadline => Ok(over(vec![Effect::Notify("link-expired".to_owned())])),
            Event::TextReceived(_)
            | Event::Begun(_)
            | Event::TextSent(_)
            | Event::SignatureVerified(_)
            | Event::CodeVerified(_)
            | Event::CodeFailed(_)
            | Event::LinkOpened(_)
            | Event::Fetched(_)
            | Event::Checked(_) => Err(unexpected()),
        }
    }

    /// The user's yes or no to one address; the host knows whether it is validated.
    fn answered(
        mut self,
        context: &Context,
        settings: &Settings,
        fields: &[Field],
    ) -> Result<Transition, Refusal> {
        let field =
            |name: &str| fields.iter().find(|field| field.name == name).map(|field| field.value.as_str());
        let address = mail_address(field("address").unwrap_or_default())?;
        let Some(place) = self.open.iter().position(|open| *open == address) else {
            return Err(Refusal::new("not-asked", "This address was not asked for, or is answered."));
        };
        self.open.remove(place);
        let effect = match field("register") {
            Some("yes") => issue(Scope::Address, address, settings.address_days),
            Some("no") => set(&address, AddressState::Declined),
            _ => return Err(Refusal::new("yes-or-no", "The field \"register\" is yes or no.")),
        };
        if self.open.is_empty() { Ok(over(vec![effect])) } else { Ok(self.wait(context, vec![effect])) }
    }

    /// Remembered for a day longer than its links.
    fn wait(self, context: &Context, effects: Vec<Effect>) -> Transition {
        let left = self.until.saturating_sub(context.now) + crate::DAY;
        wait(&State::Validating(self), effects, left)
    }
}

fn set(address: &str, state: AddressState) -> Effect {
    Effect::SetAddressState(ProfileAddress { address: address.to_owned(), state })
}

fn is_validated(standing: Standing) -> bool {
    matches!(standing, Standing::Validated | Standing::ValidatedByDirectory)
}

/// Two effects each, and two more, of sixteen: a step has room for seven.
const MAX_ADDRESSES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step;

    const BOB: &str = "bob@example.org";
    const WORK: &str = "bob@work.example";

    #[test]
    fn reg_7_mail_goes_out_only_if_neither_profile_nor_directory_knows_the_address_as_validated() {
        for (known, mails) in [
            (Standing::Unknown, true),
            (Standing::Asked, true),
            (Standing::Declined, true),
            (Standing::Validated, false),
            (Standing::ValidatedByDirectory, false),
        ] {
            let standing: Standings = match known {
                Standing::Unknown => |_| Standing::Unknown,
                Standing::Asked => |_| Standing::Asked,
                Standing::Declined => |_| Standing::Declined,
                Standing::Validated => |_| Standing::Validated,
                Standing::ValidatedByDirectory => |_| Standing::ValidatedByDirectory,
            };
            let begun = begin(BOB, standing).unwrap();
            let sends =
                begun.effects.iter().any(|effect| matches!(effect, Effect::SendLink(link) if link.to == BOB));
            let state = begun.effects.iter().find_map(|effect| {
                if let Effect::SetAddressState(set) = effect { Some(set.state) } else { None }
            });
            let expected = if mails { AddressState::Asked } else { AddressState::Validated };
            assert_eq!((sends, state), (mails, Some(expected)), "{known:?}");
        }
    }

    #[test]
    fn reg_7_each_address_has_a_link_of_its_own_and_one_request_is_bounded() {
        let begun = begin(&format!("{WORK} {BOB} {BOB}"), |_| Standing::Unknown).unwrap();
        let links: Vec<&str> = begun.effects.iter().filter_map(link).collect();
        assert_eq!(links, [BOB, WORK]);
        let many = "a@x.org b@x.org c@x.org d@x.org e@x.org";
        assert_eq!(begin(many, |_| Standing::Unknown).unwrap_err().code, "too-many-addresses");
        assert_eq!(begin("", |_| Standing::Unknown).unwrap_err().code, "too-many-addresses");
        assert_eq!(begin("+15550100", |_| Standing::Unknown).unwrap_err().code, "invalid-address");
    }

    #[test]
    fn reg_8_an_opened_link_validates_its_address_and_tells_who_asked() {
        let opened = next(waiting(BOB), Event::LinkOpened(BOB.to_owned())).unwrap();
        let [Effect::SetAddressState(set), Effect::Notify(word)] = &opened.effects[..] else {
            panic!("{opened:?}")
        };
        assert_eq!((&*set.address, set.state, &**word), (BOB, AddressState::Validated, "validated"));
        let other = next(waiting(BOB), Event::LinkOpened(WORK.to_owned()));
        assert_eq!(other.unwrap_err().code, "unexpected");
    }

    #[test]
    fn reg_8_a_no_ends_it_and_a_yes_activates() {
        let no = next(waiting(BOB), answer(BOB, "no")).unwrap();
        let [Effect::SetAddressState(set), Effect::Finish] = &no.effects[..] else { panic!("{no:?}") };
        assert_eq!(set.state, AddressState::Declined);

        let both = waiting(&format!("{BOB} {WORK}"));
        let yes = next(both, answer(BOB, "yes")).unwrap();
        let [Effect::IssueCredentials(wanted)] = &yes.effects[..] else { panic!("{yes:?}") };
        assert_eq!((wanted.scope, &*wanted.identifier), (Scope::Address, BOB));
        let again = next(yes.state.clone(), answer(BOB, "yes"));
        assert_eq!(again.unwrap_err().code, "not-asked");
        let last = next(yes.state, answer(WORK, "yes")).unwrap();
        assert!(matches!(last.effects.last(), Some(Effect::Finish)));
        assert_eq!(next(waiting(BOB), answer(BOB, "perhaps")).unwrap_err().code, "yes-or-no");
        assert_eq!(next(waiting(BOB), answer(WORK, "yes")).unwrap_err().code, "not-asked");
    }

    #[test]
    fn reg_8_links_that_nobody_opened_end_it_and_say_so() {
        let over = next(waiting(BOB), Event::Deadline).unwrap();
        assert!(
            matches!(&over.effects[..], [Effect::Notify(word), Effect::Finish] if word == "link-expired")
        );
        let told = step(&context(), Some(waiting(BOB)), Event::Deadline, |_| Standing::Validated).unwrap();
        assert!(told.effects.is_empty());
    }

    #[test]
    fn a_mail_that_was_not_sent_is_told() {
        let failed = next(waiting(BOB), Event::MailSent(Delivery::Failed)).unwrap();
        assert!(matches!(&failed.effects[..], [Effect::Notify(word)] if word == "mail-not-sent"));
        assert!(next(waiting(BOB), Event::MailSent(Delivery::InDoubt)).unwrap().effects.is_empty());
    }

    fn link(effect: &Effect) -> Option<&str> {
        if let Effect::SendLink(link) = effect { Some(&link.to) } else { None }
    }

    fn waiting(addresses: &str) -> Vec<u8> {
        begin(addresses, |_| Standing::Unknown).unwrap().state
    }

    fn begin(addresses: &str, standing: Standings) -> Result<Transition, Refusal> {
        let fields = vec![field("profile-credentials", "p1"), field("addresses", addresses)];
        step(&context(), None, Event::Begun(fields), standing)
    }

    fn next(state: Vec<u8>, event: Event) -> Result<Transition, Refusal> {
        step(&context(), Some(state), event, |_| Standing::Unknown)
    }

    fn answer(address: &str, register: &str) -> Event {
        Event::Answered(vec![field("address", address), field("register", register)])
    }

    fn field(name: &str, value: &str) -> Field {
        Field { name: name.to_owned(), value: value.to_owned() }
    }

    fn context() -> Context {
        Context::example("{}")
    }
}
