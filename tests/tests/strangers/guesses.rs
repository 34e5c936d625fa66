//! Ten thousand guesses at a code: they lead nowhere, cost the tenant nothing, and lock out nobody (REG-5).

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use futures_util::future::try_join_all;
use switchhook_client::CallError;
use switchhook_protocol::{
    error::ErrorCode,
    id::AttemptId,
    registration::{RegisterBegin, RegisterCode, RegistrationProgress},
};
use switchhook_tests::{
    host::Host,
    phone::{Phone, refusal},
    waiting::in_time,
};

use crate::ALICE;

/// Devices of one who guesses.
const DEVICES: usize = 20;

/// How often each guesses.
const EACH: usize = 500;

/// All of them together.
const GUESSES: usize = DEVICES * EACH;

#[tokio::test]
async fn reg_5_ten_thousand_guesses_of_many_devices_prove_nothing_and_lock_out_nobody() -> Result<()> {
    let host = Host::start().await?;
    let mut guessers = Vec::new();
    for _ in 0..DEVICES {
        guessers.push(Guesser { phone: host.stranger().await?, attempt: None });
    }
    let all = guessers.iter_mut().enumerate().map(|(of, guesser)| guesser.guess_all(of * EACH));
    let compared: usize = try_join_all(all).await?.into_iter().sum();

    // Each code bears five tries, and a number gets few codes, whoever asks: eight at once, then one in half a minute.
    let codes = host.transit.count(&ALICE.parse()?);
    assert!((8..GUESSES / 100).contains(&codes), "{codes} texts");
    assert!(compared <= 5 * codes, "{compared} guesses were compared for {codes} codes");
    for guesser in &guessers {
        assert_eq!(guesser.phone.registrations().await?, []);
    }
    // The owner texts, at a cost of their own: strangers' guesses are not in the way.
    let owner = host.phone(ALICE).await?;
    assert_eq!(owner.registrations().await?, [ALICE.parse()?]);
    Ok(())
}

/// A device that guesses, and asks for another code when one bears no more.
struct Guesser {
    phone: Phone,
    attempt: Option<AttemptId>,
}

impl Guesser {
    /// Guesses on and on; how many guesses were compared with a code.
    async fn guess_all(&mut self, from: usize) -> Result<usize> {
        let mut compared = 0;
        for guess in from..from + EACH {
            compared += usize::from(self.guess(guess).await? == ErrorCode::WrongCode);
        }
        Ok(compared)
    }

    async fn guess(&mut self, guess: usize) -> Result<ErrorCode> {
        let Some(attempt) = self.attempt.clone() else { return self.begin().await };
        let typed = RegisterCode { attempt, code: format!("{:06}", guess * 97 % 1_000_000) };
        match in_time("the answer", self.phone.client.register_code(&typed)).await? {
            Ok(progress) => bail!("guessed: {progress:?}"),
            Err(CallError::Refused(body)) => {
                if body.code != ErrorCode::WrongCode {
                    self.attempt = None;
                }
                Ok(body.code)
            }
            Err(other) => bail!("{other:?}"),
        }
    }

    async fn begin(&mut self) -> Result<ErrorCode> {
        let fields = BTreeMap::from([("number".to_owned(), ALICE.to_owned())]);
        let begin = RegisterBegin { method: "register-phone-entry".parse()?, fields };
        match in_time("the answer", self.phone.client.register_begin(&begin)).await? {
            Ok(RegistrationProgress::CodeSent { attempt, .. }) => {
                self.attempt = Some(attempt);
                Ok(ErrorCode::NotFound)
            }
            answer => refusal(answer),
        }
    }
}
