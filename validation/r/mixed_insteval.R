# Crossed factors in large data: 73,421 ratings of 1,128 lecturers by 2,972 students.
source("r/mixed_common.R")
departments <- c("15", "5", "10", "12", "6", "7", "4", "8", "9", "14", "1", "3", "11", "2")
path <- sub("csv$", "csv.gz", mixed_path("insteval"))
ratings <- read_mixed("insteval", c("s", "d", "service", "dept"), list(dept = departments), path)
stopifnot(levels(InstEval$dept) == departments)
golden <- function(formula) {
  fit <- fit_lmm(formula, ratings, control = tight(one_start = TRUE))
  describe_lmm(fit, ratings, "insteval", kr = FALSE, tests = FALSE)
}
results <- list(
  intercept = golden(y ~ 1 + (1 | s) + (1 | d)),
  service = golden(y ~ service + (1 | s) + (1 | d) + (1 | dept:service)),
  service_by_department = golden(y ~ service * dept + (1 | s) + (1 | d))
)
write_golden("mixed_insteval", mixed_packages, list(insteval = path), results)
