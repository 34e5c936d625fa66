//! Reads a component to its last byte: what it imports and exports, and how much of everything it has.
//!
//! The validator is that of Wasmtime, so what passes here is not news to the compiler.

use wasmparser::{
    ComponentExportSectionReader, ComponentImportSectionReader, FuncToValidate, FuncValidatorAllocations,
    FunctionBody, Instance, InstanceSectionReader, KnownCustom, MemorySectionReader, Parser, Payload,
    ProducersSectionReader, ValidPayload, Validator, ValidatorResources, WasmFeatures, types::Types,
};

use super::Unreadable;
use crate::limits::MAX_FUNCTIONS;

/// What a component has.
pub(super) struct Survey {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    pub(super) types: Types,
    pub(super) language: Option<String>,
    /// What all memories begin with, in bytes.
    pub(super) memory: u64,
    /// Instances of its core modules.
    pub(super) core_instances: u32,
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    /// How many components and modules this part lies in.
    depth: usize,
    imports: Vec<String>,
    exports: Vec<String>,
    functions: usize,
    memory: u64,
    core_instances: u32,
    /// With the depth of the part that says so: the outermost knows best.
    language: Option<(usize, String)>,
}

type Body<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// Validates all of it.
pub(super) fn survey(bytes: &[u8]) -> Result<Survey, Unreadable> {
    let (reading, types, bodies) = read(bytes)?;
    let mut allocations = FuncValidatorAllocations::default();
    for (function, body) in bodies {
        let mut validator = function.into_validator(allocations);
        validator.validate(&body)?;
        allocations = validator.into_allocations();
    }
    let Reading { imports, exports, memory, core_instances, language, .. } = reading;
    let language = language.map(|(_, name)| name);
    Ok(Survey { imports, exports, types, language, memory, core_instances })
}

fn read(bytes: &[u8]) -> Result<(Reading, Types, Vec<Body<'_>>), Unreadable> {
    let mut validator = Validator::new_with_features(features());
    let mut parser = Parser::new(0);
    parser.set_features(features());
    let (mut reading, mut types, mut bodies) = (Reading::default(), None, vec![]);
    for payload in parser.parse_all(bytes) {
        let payload = payload?;
        reading.see(&payload)?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) => bodies.push((function, body)),
            ValidPayload::End(of) => types = Some(of),
            ValidPayload::Ok | ValidPayload::Parser(_) => {}
        }
    }
    let types = types.ok_or_else(|| Unreadable::Invalid("it has no end".to_owned()))?;
    Ok((reading, types, bodies))
}

/// What the engine is built with.
fn features() -> WasmFeatures {
    let absent = WasmFeatures::CM_ASYNC
        | WasmFeatures::THREADS
        | WasmFeatures::GC
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::EXCEPTIONS;
    WasmFeatures::default().difference(absent)
}

impl Reading {
    fn see(&mut self, payload: &Payload<'_>) -> Result<(), Unreadable> {
        // Of the many kinds of payload, these say something about the plugin.
        if let Payload::ModuleSection { .. } | Payload::ComponentSection { .. } = payload {
            self.depth += 1;
        } else if let Payload::End(_) = payload {
            self.depth = self.depth.saturating_sub(1);
        } else if let Payload::FunctionSection(section) = payload {
            return self.functions(section.count());
        } else if let Payload::MemorySection(section) = payload {
            return self.memories(section.clone());
        } else if let Payload::InstanceSection(section) = payload {
            return self.core_instances(section.clone());
        } else if let Payload::ComponentImportSection(section) = payload {
            return self.imports(section.clone());
        } else if let Payload::ComponentExportSection(section) = payload {
            return self.exports(section.clone());
        } else if let Payload::CustomSection(section) = payload
            && let KnownCustom::Producers(producers) = section.as_known()
        {
            self.producers(producers);
        }
        Ok(())
    }

    fn functions(&mut self, count: u32) -> Result<(), Unreadable> {
        self.functions = self.functions.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        if self.functions > MAX_FUNCTIONS {
            return Err(Unreadable::TooManyFunctions(self.functions));
        }
        Ok(())
    }

    fn memories(&mut self, section: MemorySectionReader<'_>) -> Result<(), Unreadable> {
        for memory in section {
            self.memory = self.memory.saturating_add(memory?.initial.saturating_mul(PAGE));
        }
        Ok(())
    }

    /// Counted where they are made, however often that place is used: more than there are places for is
    /// refused when it is linked.
    fn core_instances(&mut self, section: InstanceSectionReader<'_>) -> Result<(), Unreadable> {
        for instance in section {
            if let Instance::Instantiate { .. } = instance? {
                self.core_instances = self.core_instances.saturating_add(1);
            }
        }
        Ok(())
    }

    fn imports(&mut self, section: ComponentImportSectionReader<'_>) -> Result<(), Unreadable> {
        for import in section {
            let import = import?;
            if self.depth == 0 {
                self.imports.push(import.name.name.to_owned());
            }
        }
        Ok(())
    }

    fn exports(&mut self, section: ComponentExportSectionReader<'_>) -> Result<(), Unreadable> {
        for export in section {
            let export = export?;
            if self.depth == 0 {
                self.exports.push(export.name.name.to_owned());
            }
        }
        Ok(())
    }

    /// A damaged section of these harms nobody: nothing is run by it.
    fn producers(&mut self, section: ProducersSectionReader<'_>) {
        for field in section.into_iter().flatten() {
            for value in field.values.into_iter().flatten() {
                let language = match (field.name, value.name) {
                    ("language", name) => name,
                    (_, "componentize-py") => "Python",
                    (_, "ComponentizeJS") => "JavaScript",
                    _ => continue,
                };
                if self.language.as_ref().is_none_or(|(depth, _)| self.depth < *depth) {
                    self.language = Some((self.depth, language.to_owned()));
                }
            }
        }
    }
}

/// Bytes of a page of memory.
const PAGE: u64 = 64 * 1024;

impl From<wasmparser::Error> for Unreadable {
    fn from(error: wasmparser::Error) -> Self {
        match error.message() {
            message if message.contains("async") => Self::Async(message.to_owned()),
            _ => Self::Invalid(error.to_string()),
        }
    }
}
