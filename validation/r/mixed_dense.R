# The textbook formulas on n x n matrices: V = sum_i phi_i G_i, linear in its parameters phi. Slow, independent of
# the packages, and defined where they are not: weights and unequal residual variances.

dense_state <- function(y, X, G, phi) {
  V <- Reduce(`+`, Map(`*`, phi, G))
  R <- chol(V)
  W <- chol2inv(R)
  A <- crossprod(X, W %*% X)
  Phi <- solve(A)
  P <- W - W %*% X %*% Phi %*% crossprod(X, W)
  list(W = W, P = P, Phi = Phi, beta = drop(Phi %*% crossprod(X, W %*% y)), log_det_V = 2 * sum(log(diag(R))),
       log_det_A = as.numeric(determinant(A)$modulus), quadratic = drop(crossprod(y, P %*% y)))
}
# -2 log-likelihood with the constant, restricted or not.
dense_criterion <- function(y, X, G, phi, REML) {
  s <- dense_state(y, X, G, phi)
  s$log_det_V + s$quadratic + (length(y) - REML * ncol(X)) * log(2 * pi) + REML * s$log_det_A
}
# Gradient and observed Hessian of the criterion in phi.
dense_derivatives <- function(y, X, G, phi, REML) {
  s <- dense_state(y, X, G, phi)
  K <- if (REML) s$P else s$W
  KG <- lapply(G, function(g) K %*% g)
  Py <- drop(s$P %*% y)
  u <- sapply(G, function(g) as.vector(g %*% Py))
  gradient <- mapply(function(kg, g) sum(diag(kg)), KG, G) - colSums(u * Py)
  trace <- outer(seq_along(G), seq_along(G), Vectorize(function(i, j) sum(KG[[i]] * t(KG[[j]]))))
  list(gradient = gradient, hessian = 2 * crossprod(u, s$P %*% u) - trace, state = s)
}
dense_newton <- function(y, X, G, phi, REML, steps = 30) {
  for (k in seq_len(steps)) {
    d <- dense_derivatives(y, X, G, phi, REML)
    step <- solve(d$hessian, d$gradient)
    phi <- phi - step
    if (max(abs(step / phi)) < 1e-12) break
  }
  stopifnot(eigen(d$hessian)$values > 0, max(abs(step / phi)) < 1e-10)
  phi
}
# df of b_j: 2 v^2 / (g' A g), with A = 2 H^-1 the covariance of phi and g the gradient of v.
dense_satterthwaite <- function(y, X, G, phi, REML) {
  d <- dense_derivatives(y, X, G, phi, REML)
  s <- d$state
  WX <- s$W %*% X
  g <- sapply(G, function(Gi) diag(s$Phi %*% crossprod(WX, Gi %*% WX) %*% s$Phi))
  g <- matrix(g, ncol = length(G))
  2 * diag(s$Phi)^2 / rowSums((g %*% (2 * solve(d$hessian))) * g)
}
# Kenward & Roger (1997): the adjusted covariance, and df and lambda of a contrast L (rows).
dense_kenward_roger <- function(y, X, G, phi) {
  s <- dense_state(y, X, G, phi)
  r <- seq_along(G)
  WX <- s$W %*% X
  GWX <- lapply(G, function(g) g %*% WX)
  WG <- lapply(G, function(g) s$W %*% g)
  P <- lapply(GWX, function(gwx) -crossprod(WX, gwx))
  Q <- function(i, j) crossprod(GWX[[i]], s$W %*% GWX[[j]])
  information <- outer(r, r, Vectorize(function(i, j) {
    sum(WG[[i]] * t(WG[[j]])) - 2 * sum(s$Phi * Q(i, j)) + sum((s$Phi %*% P[[i]]) * t(s$Phi %*% P[[j]]))
  })) / 2
  W <- solve(information)
  middle <- 0
  for (i in r) for (j in r) middle <- middle + W[i, j] * (Q(i, j) - P[[i]] %*% s$Phi %*% P[[j]])
  list(Phi = s$Phi, P = P, W = W, vcov = s$Phi + 2 * s$Phi %*% middle %*% s$Phi)
}
dense_kr_test <- function(kr, L) {
  q <- nrow(L)
  Theta <- t(L) %*% solve(L %*% kr$Phi %*% t(L)) %*% L
  T_i <- lapply(kr$P, function(p) Theta %*% kr$Phi %*% p %*% kr$Phi)
  pairs <- expand.grid(i = seq_along(T_i), j = seq_along(T_i))
  A1 <- sum(mapply(function(i, j) kr$W[i, j] * sum(diag(T_i[[i]])) * sum(diag(T_i[[j]])), pairs$i, pairs$j))
  A2 <- sum(mapply(function(i, j) kr$W[i, j] * sum(T_i[[i]] * t(T_i[[j]])), pairs$i, pairs$j))
  B <- (A1 + 6 * A2) / (2 * q)
  g <- ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
  k <- c(g, q - g, q + 2 - g) / (3 * q + 2 * (1 - g))
  E <- 1 / (1 - A2 / q)
  V <- 2 / q * (1 + k[1] * B) / ((1 - k[2] * B)^2 * (1 - k[3] * B))
  rho <- V / (2 * E^2)
  m <- 4 + (q + 2) / (q * rho - 1)
  list(df = m, scaling = m / (E * (m - 2)))
}
dense_kr_rows <- function(y, X, G, phi) {
  kr <- dense_kenward_roger(y, X, G, phi)
  b <- dense_state(y, X, G, phi)$beta
  se <- sqrt(diag(kr$vcov))
  df <- sapply(seq_along(b), function(j) dense_kr_test(kr, t(as.numeric(seq_along(b) == j)))$df)
  data.frame(term = colnames(X), estimate = b, std_error = se, df, statistic = b / se,
             p_value = 2 * pt(-abs(b / se), df), row.names = NULL)
}

# The same y, X, G and phi from an lmer fit: variances and covariances term by term, then the residual variance.
dense_parts <- function(fit, weights = NULL) {
  Zt <- lme4::getME(fit, "Zt")
  gp <- lme4::getME(fit, "Gp")
  G <- list()
  phi <- numeric(0)
  for (k in seq_along(lme4::VarCorr(fit))) {
    S <- as.matrix(lme4::VarCorr(fit)[[k]])
    Z <- lapply(seq_len(nrow(S)), function(a) Zt[seq(gp[k] + a, gp[k + 1], by = nrow(S)), , drop = FALSE])
    for (b in seq_len(nrow(S))) for (a in b:nrow(S)) {
      g <- as.matrix(Matrix::crossprod(Z[[a]], Z[[b]]))
      G <- c(G, list(if (a == b) g else g + t(g)))
      phi <- c(phi, S[a, b])
    }
  }
  w <- if (is.null(weights)) rep(1, lme4::getME(fit, "n")) else weights(fit)
  list(y = lme4::getME(fit, "y"), X = as.matrix(lme4::getME(fit, "X")), G = c(G, list(diag(1 / w))),
       phi = c(phi, sigma(fit)^2))
}
# lmer, lmerTest and pbkrtest against these formulas. With weights pbkrtest leaves them out, so that the
# Kenward-Roger rows come from here. At the boundary lmerTest's df depend on its parametrisation: not compared.
check_dense <- function(fit, described, weights = NULL) {
  if (nobs(fit) > 1000) return(described)
  p <- dense_parts(fit, weights)
  REML <- lme4::isREML(fit)
  off <- function(a, b) max(abs(a - b) / pmax(abs(b), 1e-8))
  s <- dense_state(p$y, p$X, p$G, p$phi)
  gaps <- c(criterion = abs(dense_criterion(p$y, p$X, p$G, p$phi, REML) - described$criterion),
            std_error = off(described$fixed$std_error, sqrt(diag(s$Phi))))
  if (!described$singular) {
    gaps["satterthwaite"] <- off(described$fixed$df, dense_satterthwaite(p$y, p$X, p$G, p$phi, REML))
    if (REML && !is.null(weights)) {
      described$kenward_roger <- dense_kr_rows(p$y, p$X, p$G, p$phi)
      described$kenward_roger_vcov <- array_of(dense_kenward_roger(p$y, p$X, p$G, p$phi)$vcov)
    }
  }
  if (!is.null(described$kenward_roger)) {
    kr <- dense_kr_rows(p$y, p$X, p$G, p$phi)
    gaps["kr_se"] <- off(described$kenward_roger$std_error, kr$std_error)
    gaps["kr_df"] <- off(described$kenward_roger$df, kr$df)
  }
  message("    against dense formulas: ", paste(names(gaps), format(gaps, digits = 1), collapse = "; "))
  stopifnot(gaps < 1e-5)
  described
}
