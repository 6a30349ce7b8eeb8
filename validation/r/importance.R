# Relative importance of groups of predictors: LMG (general dominance) over every ordering, written out in
# plain R.
source("r/_write.R")

orderings <- function(v) {
  if (length(v) < 2) return(list(v))
  starting <- function(i) lapply(orderings(v[-i]), function(rest) c(v[i], rest))
  unlist(lapply(seq_along(v), starting), recursive = FALSE)
}

# `groups` are the terms that compete, a factor being one group; `always` enters before all of them.
importance <- function(data, response, groups, always = character()) {
  known <- new.env()
  r2 <- function(members) {
    key <- paste(c("1", always, sort(members)), collapse = " + ")
    formula <- as.formula(paste(response, "~", key))
    if (is.null(known[[key]])) known[[key]] <- summary(lm(formula, data))$r.squared
    known[[key]]
  }
  all_orders <- orderings(groups)
  gains <- sapply(all_orders, function(order) {
    gain <- diff(sapply(0:length(order), function(k) r2(head(order, k))))
    m <- matrix(NA, length(groups), length(groups), dimnames = list(groups, NULL))
    m[cbind(match(order, groups), seq_along(order))] <- gain
    m
  }, simplify = "array")
  lmg <- apply(gains, 1, sum, na.rm = TRUE) / length(all_orders)
  by_position <- apply(gains, 1:2, mean, na.rm = TRUE)
  total <- r2(groups)
  base <- r2(character())
  stopifnot(all.equal(sum(lmg), total - base))
  list(
    response = response, groups = groups, always = I(always),
    n_orderings = length(all_orders), n_obs = nrow(data), r_squared = total, r_squared_always = base,
    lmg = named(lmg), share = named(lmg / (total - base)), of_residual_variance = named(lmg / (1 - base)),
    first = named(by_position[, 1]), last = named(by_position[, length(groups)]),
    by_position = matrix_of(by_position)
  )
}

others <- function(data, response) setdiff(names(data), response)
attitude <- read.csv(data_path("attitude"))
swiss <- read.csv(data_path("swiss"))
trial <- read_trial()

results <- list(
  attitude = importance(attitude, "rating", others(attitude, "rating")),
  swiss = importance(swiss, "Fertility", others(swiss, "Fertility")),
  trial = importance(trial, "outcome", c("alliance", "arm", "sex", "baseline")),
  trial_beyond_baseline = importance(trial, "outcome", c("alliance", "arm", "sex"), always = "baseline"),
  trial_two_groups = importance(trial, "outcome", c("alliance", "arm"), always = "baseline")
)
write_golden("importance", "stats", list(attitude = data_path("attitude"), swiss = data_path("swiss"),
                                         trial = data_path("trial")), results)
