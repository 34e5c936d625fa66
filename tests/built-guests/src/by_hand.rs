//! Core modules that no compiler makes, put into components that are otherwise in order.

use wasm_encoder::{
    BlockType, CodeSection, ComponentSection as _, ConstExpr, ElementSection, Elements, ExportKind,
    ExportSection, Function, FunctionSection, InstanceSection, Instruction, MemorySection, MemoryType,
    Module, ModuleSection, RefType, StartSection, TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{Parser, Payload};

/// The component with one more module in it, which is compiled and never used.
pub fn carrying(component: &[u8], module: &Module) -> Vec<u8> {
    let mut bytes = component.to_vec();
    ModuleSection(module).append_to_component(&mut bytes);
    bytes
}

/// The component with one more module in it, which is instantiated with it.
pub fn starting(component: &[u8], module: &Module) -> Vec<u8> {
    let mut bytes = carrying(component, module);
    let mut instances = InstanceSection::new();
    instances.instantiate(modules(component), std::iter::empty::<(&str, wasm_encoder::ModuleArg)>());
    instances.append_to_component(&mut bytes);
    bytes
}

/// The component with so many bytes that say nothing.
pub fn padded(component: &[u8], padding: usize) -> Vec<u8> {
    let mut bytes = component.to_vec();
    let section = wasm_encoder::CustomSection { name: "padding".into(), data: vec![0; padding].into() };
    section.append_to_component(&mut bytes);
    bytes
}

/// Never ends when it is instantiated.
pub fn loops_at_start() -> Module {
    let mut body = Function::new([]);
    body.instruction(&Instruction::Loop(BlockType::Empty));
    body.instruction(&Instruction::Br(0));
    body.instruction(&Instruction::End);
    started(&body, |_| {})
}

/// Wants a table of a million entries when it is instantiated, and traps without.
pub fn bombs_tables() -> Module {
    let mut body = Function::new([]);
    body.instruction(&Instruction::RefNull(wasm_encoder::HeapType::FUNC));
    body.instruction(&Instruction::I32Const(1_000_000));
    body.instruction(&Instruction::TableGrow(0));
    body.instruction(&Instruction::I32Const(0));
    body.instruction(&Instruction::I32LtS);
    body.instruction(&Instruction::If(BlockType::Empty));
    body.instruction(&Instruction::Unreachable);
    body.instruction(&Instruction::End);
    started(&body, |module| {
        let mut tables = TableSection::new();
        let any = TableType {
            element_type: RefType::FUNCREF,
            minimum: 1,
            maximum: None,
            table64: false,
            shared: false,
        };
        tables.table(any);
        module.section(&tables);
    })
}

/// Begins with so many pages of 64 KiB.
pub fn begins_with_memory(pages: u64) -> Module {
    let mut module = Module::new();
    let mut memories = MemorySection::new();
    let memory =
        MemoryType { minimum: pages, maximum: None, memory64: false, shared: false, page_size_log2: None };
    memories.memory(memory);
    module.section(&memories);
    module
}

/// Would sleep for ever on memory that threads share: the one way of WebAssembly itself to sleep.
pub fn sleeps() -> Module {
    let mut body = Function::new([]);
    body.instruction(&Instruction::I32Const(0));
    body.instruction(&Instruction::I32Const(0));
    body.instruction(&Instruction::I64Const(-1));
    body.instruction(&Instruction::MemoryAtomicWait32(wasm_encoder::MemArg {
        offset: 0,
        align: 2,
        memory_index: 0,
    }));
    body.instruction(&Instruction::Drop);
    started(&body, |module| {
        let mut memories = MemorySection::new();
        let shared =
            MemoryType { minimum: 1, maximum: Some(1), memory64: false, shared: true, page_size_log2: None };
        memories.memory(shared);
        module.section(&memories);
    })
}

/// So many functions, each of one byte.
pub fn tiny_functions(count: u32) -> Module {
    let mut body = Function::new([]);
    body.instruction(&Instruction::End);
    with_functions(count, &body)
}

/// A small function that costs a compiler much: so many loops in each other, in the innermost of which as
/// many variables change, so that each loop has a version of its own of each.
pub fn bombs_compiler(size: u32) -> Module {
    let mut body = Function::new([(size, ValType::I32)]);
    for _ in 0..size {
        body.instruction(&Instruction::Loop(BlockType::Empty));
    }
    for variable in 0..size {
        body.instruction(&Instruction::LocalGet((variable + 1) % size));
        body.instruction(&Instruction::LocalSet(variable));
    }
    for depth in 0..size {
        body.instruction(&Instruction::LocalGet(depth));
        body.instruction(&Instruction::BrIf(0));
        body.instruction(&Instruction::End);
    }
    body.instruction(&Instruction::End);
    with_functions(1, &body)
}

/// A table with so many entries.
pub fn lists_functions(count: u32) -> Module {
    let mut module = Module::new();
    functions(&mut module, 1);
    let mut tables = TableSection::new();
    let size = u64::from(count);
    let exact = TableType {
        element_type: RefType::FUNCREF,
        minimum: size,
        maximum: Some(size),
        table64: false,
        shared: false,
    };
    tables.table(exact);
    module.section(&tables);
    let mut elements = ElementSection::new();
    let all = vec![0; usize::try_from(count).unwrap_or_default()];
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(all.into()));
    module.section(&elements);
    let mut body = Function::new([]);
    body.instruction(&Instruction::End);
    bodies(&mut module, 1, &body);
    module
}

/// How many modules a component has.
fn modules(component: &[u8]) -> u32 {
    let (mut depth, mut modules) = (0_u32, 0);
    for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
        if let Payload::ModuleSection { .. } = payload {
            modules += u32::from(depth == 0);
        }
        if let Payload::ModuleSection { .. } | Payload::ComponentSection { .. } = payload {
            depth += 1;
        } else if let Payload::End(_) = payload {
            depth = depth.saturating_sub(1);
        }
    }
    modules
}

fn started(body: &Function, declare: impl FnOnce(&mut Module)) -> Module {
    let mut body = body.clone();
    body.instruction(&Instruction::End);
    let mut module = Module::new();
    functions(&mut module, 1);
    declare(&mut module);
    module.section(&StartSection { function_index: 0 });
    bodies(&mut module, 1, &body);
    module
}

fn with_functions(count: u32, body: &Function) -> Module {
    let mut module = Module::new();
    functions(&mut module, count);
    let mut exports = ExportSection::new();
    exports.export("f", ExportKind::Func, 0);
    module.section(&exports);
    bodies(&mut module, count, body);
    module
}

fn functions(module: &mut Module, count: u32) {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    module.section(&types);
    let mut functions = FunctionSection::new();
    for _ in 0..count {
        functions.function(0);
    }
    module.section(&functions);
}

fn bodies(module: &mut Module, count: u32, body: &Function) {
    let mut code = CodeSection::new();
    for _ in 0..count {
        code.function(body);
    }
    module.section(&code);
}
