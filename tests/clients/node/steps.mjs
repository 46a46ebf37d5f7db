// What the test gives and what it reads: a setting as JSON, and a line for each step that is done.

export const setting = JSON.parse(process.env.TOKENBIND_SETTING);
export const insecure = setting.issuer.startsWith("http:");

// A step that fails ends the script: the exception is its report.
export async function step(name, run) {
  try {
    await run();
  } catch (error) {
    throw new Error(`${name}: ${error.message}`, { cause: error });
  }
  console.log(`ok ${name}`);
}
