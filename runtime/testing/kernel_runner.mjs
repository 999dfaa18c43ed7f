// Runs kernels of WebAssembly that another process sends (kernel_job.h), as kernel_runner.cpp does for native ones.
// Node's own engine; a kernel's memory is made for each job.
import fs from "fs";

const page = 65536, guardBytes = 256, guard = 0xa5, stackBytes = 1 << 20;

function read(size) {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size;) {
    const got = fs.readSync(0, bytes, at, size - at, null);
    if (got === 0) process.exit(0);
    at += got;
  }
  return bytes;
}

function write(bytes) {
  for (let at = 0; at < bytes.length;) at += fs.writeSync(1, bytes, at, bytes.length - at);
}

// Numbers of the convention for dynamic linking: what memory and how many places of the table a module needs.
function memoryInfo(module) {
  const info = {memorySize: 0, memoryAlign: 0, tableSize: 0};
  const [section] = WebAssembly.Module.customSections(module, "dylink.0");
  if (!section) return info;
  const bytes = new Uint8Array(section);
  let at = 0;
  const number = () => {
    let value = 0, shift = 0, byte;
    do {
      byte = bytes[at++];
      value |= (byte & 127) << shift;
      shift += 7;
    } while (byte & 128);
    return value;
  };
  while (at < bytes.length) {
    const kind = bytes[at++], end = number() + at;
    if (kind === 1) [info.memorySize, info.memoryAlign, info.tableSize] = [number(), number(), number()];
    at = end;
  }
  return info;
}

class Space {
  constructor() {
    this.size = 1024; // the null pointer points to nothing
    this.guarded = [];
  }
  take(size, align = 64) {
    const at = Math.ceil(this.size / align) * align;
    this.size = at + size;
    return at;
  }
  takeGuarded(size, what) {
    const at = this.take(size + guardBytes);
    this.guarded.push({from: at + size, what});
    return at;
  }
  build() {
    this.memory = new WebAssembly.Memory({initial: Math.ceil(this.size / page) + 1});
    this.bytes = new Uint8Array(this.memory.buffer);
    for (const {from} of this.guarded) this.bytes.fill(guard, from, from + guardBytes);
  }
  check() {
    for (const {from, what} of this.guarded)
      if (this.bytes.subarray(from, from + guardBytes).some((byte) => byte !== guard)) throw new Error(`the kernel wrote behind ${what}`);
  }
}

function run(job, object, symbol, constants, bindings) {
  const module = new WebAssembly.Module(object);
  const needs = memoryInfo(module), space = new Space();
  const base = space.take(needs.memorySize, 1 << Math.max(needs.memoryAlign, 6));
  const stack = space.take(stackBytes) + stackBytes;
  const dispatch = space.take(32), pointers = space.take(4 * bindings.length), numbers = space.take(constants.length);
  const local = job.localBytes ? space.takeGuarded(job.localBytes, "its local memory") : 0;
  const places = bindings.map((binding, i) => space.takeGuarded(binding.length, `binding ${i}`));
  space.build();
  const {memory, bytes} = space, view = new DataView(memory.buffer);
  bytes.set(constants, numbers);
  bindings.forEach((binding, i) => {
    bytes.set(binding, places[i]);
    view.setUint32(pointers + 4 * i, places[i], true);
  });
  [pointers, numbers, ...job.count, bindings.length, constants.length / 8, 0].forEach((value, i) => view.setUint32(dispatch + 4 * i, value, true));

  const constant = (value) => new WebAssembly.Global({value: "i32"}, value);
  const functions = {
    memcpy: (to, from, size) => (bytes.copyWithin(to, from, from + size), to),
    memmove: (to, from, size) => (bytes.copyWithin(to, from, from + size), to),
    memset: (to, value, size) => (bytes.fill(value, to, to + size), to),
  };
  const instance = new WebAssembly.Instance(module, {env: {
    memory, ...functions, __memory_base: constant(base), __table_base: constant(0),
    __stack_pointer: new WebAssembly.Global({value: "i32", mutable: true}, stack),
    __indirect_function_table: new WebAssembly.Table({initial: Math.max(needs.tableSize, 1), element: "anyfunc"}),
  }});
  instance.exports.__wasm_apply_data_relocs?.();
  instance.exports.__wasm_call_ctors?.();
  const kernel = instance.exports[symbol];
  if (!kernel) throw new Error("the object has no such function");
  // Backwards: an order that hides no dependence.
  const [countX, countY, countZ] = job.count;
  for (let z = countZ; z-- > 0;)
    for (let y = countY; y-- > 0;)
      for (let x = countX; x-- > 0;) {
        const code = kernel(dispatch, x, y, z, local);
        if (code) throw new Error(`the kernel returned ${code}`);
      }
  space.check();
  return bindings.map((binding, i) => bytes.subarray(places[i], places[i] + binding.length));
}

function words(...values) {
  const bytes = Buffer.alloc(8 * values.length);
  values.forEach((value, i) => bytes.writeBigUInt64LE(BigInt(value), 8 * i));
  return bytes;
}

write(words(0));
for (;;) {
  const head = read(72), word = (i) => Number(head.readBigUInt64LE(8 * i));
  const job = {localBytes: word(3), count: [word(6), word(7), word(8)]};
  const object = read(word(0)), symbol = read(word(1)).toString(), constants = read(8 * word(4)), sizes = read(8 * word(5));
  const bindings = [];
  for (let i = 0; i < sizes.length; i += 8) bindings.push(read(Number(sizes.readBigUInt64LE(i))));
  let text = "", results = [];
  try {
    results = run(job, object, symbol, constants, bindings);
  } catch (error) {
    text = `${error}` || "an error without a text";
  }
  const message = Buffer.from(text);
  write(words(text ? 1 : 0, message.length));
  write(message);
  results.forEach(write);
}
