// How a journey's script talks with its test: the settings come as its argument, an address to visit goes out as a line,
// the address at which the member arrived comes in as one, and what the app saw goes out as the last.
import { createInterface } from "node:readline/promises";

export const settings = JSON.parse(process.argv[2]);

export async function visit(address) {
  console.log(String(address));
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    lines.close();
    return new URL(line);
  }
  throw new Error("the member never came back");
}

export function tell(seen) {
  console.log(JSON.stringify(seen));
}

export async function refusal(attempt) {
  try {
    await attempt();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was refused");
}
