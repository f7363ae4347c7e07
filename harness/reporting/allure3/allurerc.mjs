// What Allure 3 makes of the results: an environment for each target, categories, history.
import { readFileSync } from "node:fs";

const settings = JSON.parse(readFileSync(process.env.TCPSPEC_ALLURE, "utf8"));

const environment = ({ name, variables }) => ({
  name,
  variables,
  matcher: ({ labels }) => labels.some((label) => label.name === "target" && label.value === name),
});

const category = ({ name, statuses, message }) => ({
  name,
  matchers: { statuses, message: new RegExp(message) },
  groupBy: ["environment"],
  groupByMessage: true,
});

export default {
  name: settings.name,
  output: settings.output,
  historyPath: settings.history,
  appendHistory: true,
  environments: Object.fromEntries(settings.targets.map((target) => [target.id, environment(target)])),
  categories: settings.categories.map(category),
  variables: settings.variables,
  plugins: settings.pages
    ? {
        awesome: { options: { reportName: settings.name, groupBy: ["epic", "feature", "story"], theme: "auto" } },
        dashboard: { options: { reportName: settings.name, theme: "auto" } },
      }
    : {},
};
