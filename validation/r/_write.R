# Shared by the scripts of this folder; each runs from validation/ as `Rscript r/NAME.R` and writes NAME.json.

# One golden file: results at 15 significant digits, with the versions they came from. NA and NaN become null.
write_golden <- function(name, packages, data, results) {
  versions <- sapply(packages, function(p) as.character(packageVersion(p)), simplify = FALSE)
  r_version <- paste(R.version$major, R.version$minor, sep = ".")
  golden <- list(name = name, r_version = r_version, packages = c(list(), versions), data = data,
                 results = results)
  json <- jsonlite::toJSON(golden, digits = I(15), auto_unbox = TRUE, na = "null", null = "null",
                           pretty = TRUE)
  writeLines(json, paste0(name, ".json"))
}

# Written rounded and read back, so that every other program sees the same numbers.
write_data <- function(frame, key) {
  numeric <- sapply(frame, is.numeric)
  frame[numeric] <- lapply(frame[numeric], round, 4)
  write.csv(frame, data_path(key), row.names = FALSE, quote = FALSE)
}
data_path <- function(key) paste0("data/", key, ".csv")

# Factors with their levels in the order given: the first is the reference of treatment contrasts.
read_trial <- function(key = "trial") {
  frame <- read.csv(data_path(key))
  frame$arm <- factor(frame$arm, levels = c("GE", "MCE", "SMT"))
  frame$sex <- factor(frame$sex, levels = c("female", "male"))
  frame
}
read_factorial <- function() {
  frame <- read.csv(data_path("factorial"))
  frame$treatment <- factor(frame$treatment, levels = c("active", "sham"))
  frame$alliance <- factor(frame$alliance, levels = c("enhanced", "limited"))
  frame
}

named <- function(vector) as.list(vector)
matrix_of <- function(m) list(terms = rownames(m), values = unname(as.matrix(m)))
estimate_rows <- function(term, estimate, std_error, statistic, df, p_value, conf_low, conf_high) {
  data.frame(term, estimate, std_error, statistic, df, p_value, conf_low, conf_high, row.names = NULL)
}
ols_rows <- function(fit) {
  table <- summary(fit)$coefficients
  interval <- confint(fit)[rownames(table), , drop = FALSE]
  estimate_rows(rownames(table), table[, 1], table[, 2], table[, 3], fit$df.residual, table[, 4],
                interval[, 1], interval[, 2])
}
