//! A router whose answer is small in its own memory, and a gigabyte where somebody copies it out: each of its
//! thousand requests has the same megabyte as its body.

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, Instruction, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding, decode, embed_component_metadata};

/// Where the text that `describe` returns stands; its record of three strings comes first.
const DESCRIPTION: u32 = 1024;

/// `ok`, for `validate-config`.
const OK: u32 = 2048;

/// The answer of `route`: `ok(ask(requests))`.
const ANSWER: u32 = 3072;

/// The requests, of 24 bytes each: id, url and body.
const REQUESTS: u32 = 4096;

/// How many.
const COUNT: u32 = 1000;

/// The body of all of them.
const BODY: (u32, u32) = (1 << 20, 1 << 20);

/// Where arguments are put, one call's after the other.
const ARGUMENTS: i32 = 3 << 20;

/// The component: made from the world of a `router` that is in order.
///
/// # Errors
///
/// The router is no component.
pub fn aliases(router: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let DecodedWasm::Component(resolve, world) = decode(router)? else { return Err("no component".into()) };
    let mut bytes = module().finish();
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8)?;
    Ok(ComponentEncoder::default().module(&bytes)?.encode()?)
}

fn module() -> Module {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    types.ty().function([ValType::I32; 2], [ValType::I32]);
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([ValType::I32; 4], [ValType::I32]);
    module.section(&types);
    let mut functions = FunctionSection::new();
    for signature in 0..4 {
        functions.function(signature);
    }
    module.section(&functions);
    let mut memories = MemorySection::new();
    let memory =
        MemoryType { minimum: 64, maximum: None, memory64: false, shared: false, page_size_log2: None };
    memories.memory(memory);
    module.section(&memories);
    let mut globals = GlobalSection::new();
    let next = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
    globals.global(next, &ConstExpr::i32_const(ARGUMENTS));
    module.section(&globals);
    let mut exports = ExportSection::new();
    for (function, name) in (0..).zip(["describe", "validate-config", "route", "cabi_realloc"]) {
        exports.export(name, ExportKind::Func, function);
    }
    exports.export("memory", ExportKind::Memory, 0);
    module.section(&exports);
    module.section(&code());
    module.section(&data());
    module
}

/// Each function returns where its answer stands, but for the last: it allocates, and never frees.
fn code() -> CodeSection {
    let mut code = CodeSection::new();
    for answer in [DESCRIPTION, OK, ANSWER] {
        let mut body = Function::new([]);
        body.instruction(&Instruction::I32Const(answer.cast_signed()));
        body.instruction(&Instruction::End);
        code.function(&body);
    }
    let mut allocate = Function::new([]);
    allocate.instruction(&Instruction::GlobalGet(0));
    allocate.instruction(&Instruction::GlobalGet(0));
    allocate.instruction(&Instruction::LocalGet(3));
    allocate.instruction(&Instruction::I32Add);
    // Aligned for what comes next.
    allocate.instruction(&Instruction::I32Const(15));
    allocate.instruction(&Instruction::I32Add);
    allocate.instruction(&Instruction::I32Const(-8));
    allocate.instruction(&Instruction::I32And);
    allocate.instruction(&Instruction::GlobalSet(0));
    allocate.instruction(&Instruction::End);
    code.function(&allocate);
    code
}

fn data() -> DataSection {
    let (name, version, summary) = ("aliases", "1.0.0", "Says the same a thousand times.");
    let words = [name, version, summary].concat();
    let text = DESCRIPTION + 24;
    let (second, third) = (text + length(name), text + length(name) + length(version));
    let strings = [(text, length(name)), (second, length(version)), (third, length(summary))];
    let mut data = DataSection::new();
    put(&mut data, DESCRIPTION, pairs(&strings).into_iter().chain(words.bytes()));
    // The result's case, the decision's case, the list.
    let list = pairs(&[(REQUESTS, COUNT)]);
    put(&mut data, ANSWER, [0, 0, 0, 0, 1, 0, 0, 0].into_iter().chain(list));
    let request = pairs(&[(text, length(name)), (text, length(name)), BODY]);
    put(&mut data, REQUESTS, (0..COUNT).flat_map(|_| request.clone()));
    data
}

fn put(data: &mut DataSection, at: u32, bytes: impl IntoIterator<Item = u8>) {
    data.active(0, &ConstExpr::i32_const(at.cast_signed()), bytes.into_iter().collect::<Vec<_>>());
}

/// Pointers and lengths as they stand in memory.
fn pairs(pairs: &[(u32, u32)]) -> Vec<u8> {
    pairs.iter().flat_map(|(at, length)| [at.to_le_bytes(), length.to_le_bytes()]).flatten().collect()
}

fn length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or_default()
}
