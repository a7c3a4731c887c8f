// coinbase-api as it is published, with another base URL: create a report, wait for it, fetch it. Prints JSON.
const { CBExchangeClient } = require("coinbase-api");

const { baseUrl, key, secret, passphrase, body } = JSON.parse(process.argv[2]);
const client = new CBExchangeClient({ baseUrl, apiKey: key, apiSecret: secret, apiPassphrase: passphrase });

async function main() {
  const created = await client.createReport(body);
  let report = await client.getReport({ report_id: created.id });
  for (let n = 0; n < 300 && ["pending", "creating"].includes(report.status); n++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    report = await client.getReport({ report_id: created.id });
  }
  const listed = await client.getAllReports({ limit: 10 });
  const file = await fetch(report.file_url);
  const foreign = await client.getReport({ report_id: "nothing" }).catch((refused) => refused.body);
  console.log(JSON.stringify({ created, report, listed, file: await file.text(), foreign }));
}

main().catch((error) => {
  console.error(JSON.stringify(error));
  process.exit(1);
});
