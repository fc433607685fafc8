#include "counting/counts.hpp"

#include "counting/effort.hpp"
#include "counting/probabilities.hpp"

namespace na64root::counting {
namespace {

const Rule single_node{{0.0}, {1.0}};

class Enumeration {
  public:
    Enumeration(const Model &model, const Truths &truths, const Cutoff &cutoff, std::vector<double> &counts,
                const std::function<bool(const CountsProbability &)> &visit)
        : model_(model), truths_(truths), cutoff_(cutoff), counts_(counts), visit_(visit) {}

    // Over the counts of the bins from `bin` on, the others given; false when q is below the threshold for
    // all of them. `with` and `without` are the probabilities of the counts given.
    bool from(std::size_t bin, double with, double without) const {
        const double rate_with = truths_.with_signal.rates[bin];
        const double rate_without = truths_.without_signal.rates[bin];
        const bool last = bin + 1 == model_.bins.size();
        bool any = false, first = true;
        for (double n = 0.0;; n += 1.0) {
            const double p_with = with * poisson_probability(rate_with, n);
            const double p_without = without * poisson_probability(rate_without, n);
            if (p_with < cutoff_.least * cutoff_.scale_with &&
                p_without < cutoff_.least * cutoff_.scale_without) {
                if (n > rate_with && n > rate_without)
                    return any;
                any = true;
                continue;
            }
            counts_[bin] = n;
            const bool passes = last ? visit_({p_with, p_without, first}) : from(bin + 1, p_with, p_without);
            first = false;
            any = any || passes;
            if (!passes && model_.monotone[bin])
                return any;
        }
    }

  private:
    const Model &model_;
    const Truths &truths_;
    const Cutoff &cutoff_;
    std::vector<double> &counts_;
    const std::function<bool(const CountsProbability &)> &visit_;
};

} // namespace

void for_each_counts(const Model &model, const Truths &truths, const Cutoff &cutoff,
                     std::vector<double> &counts,
                     const std::function<bool(const CountsProbability &)> &visit) {
    Enumeration(model, truths, cutoff, counts, visit).from(0, 1.0, 1.0);
}

// ------------------------------------------------------------------------------------------------ over
// priors

namespace {

// The probabilities of the counts 0, 1, 2, ... of one bin at the nodes of the priors, each times that of the
// counts in the bins before. Tables are [theta of the signal][eta of the group]; those of the bins before
// have lost the index eta where this bin is the first of its group.
class BinProbabilities {
  public:
    BinProbabilities(const Model &model, const Priors &priors, double mu, std::size_t bin,
                     const std::vector<double> &with_before, const std::vector<double> &without_before,
                     const Cutoff &cutoff);

    void start() { average(); }
    // From n - 1 to n counts.
    void advance(double n) {
        for (std::size_t j = 0; j < terms_.size(); ++j)
            terms_[j] *= rates_[j] / n;
        for (std::size_t j = 0; j < without_.size(); ++j)
            without_[j] *= rates_without_[j] / n;
        for (const Heavy &heavy : heavy_)
            (heavy.with ? terms_ : without_)[heavy.node] = heavy.before * poisson_probability(heavy.rate, n);
        average();
    }

    // The largest rate at a node that matters: beyond, all probabilities that matter fall with n. Below they
    // may have valleys, between the two ensembles and between nodes.
    double largest_rate() const { return largest_rate_; }
    std::size_t size() const { return terms_.size(); }

    const std::vector<double> &with() const { return with_; }
    const std::vector<double> &without() const { return without_; }
    // Averaged over eta: at each theta, and without signal.
    const std::vector<double> &mean_with() const { return mean_with_; }
    const std::vector<double> &mean_without() const { return mean_without_; }
    // Averaged over theta too.
    double total_with() const {
        double total = 0.0;
        for (std::size_t k = 0; k < n_theta_; ++k)
            total += signal_prior_.weights[k] * mean_with_[k];
        return total;
    }

  private:
    // A node at whose rate a count of zero has a probability below the smallest number.
    struct Heavy {
        bool with;
        std::size_t node;
        double before, rate;
    };
    static constexpr double heavy_rate = 600.0;

    void average();

    const Rule &signal_prior_, &prior_, &own_prior_;
    std::size_t n_theta_, n_eta_, n_own_;
    std::vector<double> rates_, terms_; // with signal, before the average over the bin's own nuisance
    std::vector<double> rates_without_;
    std::vector<double> with_, without_, mean_with_, mean_without_;
    std::vector<Heavy> heavy_;
    double largest_rate_ = 0.0;
};

BinProbabilities::BinProbabilities(const Model &model, const Priors &priors, double mu, std::size_t index,
                                   const std::vector<double> &with_before,
                                   const std::vector<double> &without_before, const Cutoff &cutoff)
    : signal_prior_(priors.signal),
      prior_(model.bins[index].group < 0
                 ? single_node
                 : priors.backgrounds[static_cast<std::size_t>(model.bins[index].group)]),
      own_prior_(priors.own[index]), n_theta_(signal_prior_.nodes.size()), n_eta_(prior_.nodes.size()),
      n_own_(own_prior_.nodes.size()), rates_(n_theta_ * n_eta_ * n_own_), terms_(rates_.size()),
      rates_without_(n_eta_), with_(n_theta_ * n_eta_), without_(n_eta_), mean_with_(n_theta_),
      mean_without_(1) {
    const PooledBin &bin = model.bins[index];
    const bool first = index == 0 || bin.group < 0 || model.bins[index - 1].group != bin.group;
    Effort::spend(1 + terms_.size() / 25);
    const auto note = [&](bool with, std::size_t node, double before, double rate, double part) {
        if (part >= 1e-3 * cutoff.least)
            largest_rate_ = std::max(largest_rate_, rate);
        if (rate > heavy_rate)
            heavy_.push_back({with, node, before, rate});
    };
    for (std::size_t e = 0; e < n_eta_; ++e) {
        rates_without_[e] = model.background(bin, prior_.nodes[e]);
        const double before_without = first ? without_before[0] : without_before[e];
        without_[e] = before_without * std::exp(-rates_without_[e]);
        note(false, e, before_without, rates_without_[e],
             prior_.weights[e] * before_without / cutoff.scale_without);
        for (std::size_t k = 0; k < n_theta_; ++k) {
            const double before = first ? with_before[k] : with_before[k * n_eta_ + e];
            for (std::size_t o = 0; o < n_own_; ++o) {
                const std::size_t j = (k * n_eta_ + e) * n_own_ + o;
                rates_[j] = mu * model.signal_scale(signal_prior_.nodes[k]) *
                                model.scale(bin.own_uncertainty, own_prior_.nodes[o]) * bin.signal +
                            rates_without_[e];
                const double with_own = before * own_prior_.weights[o];
                terms_[j] = with_own * std::exp(-rates_[j]);
                note(true, j, with_own, rates_[j],
                     signal_prior_.weights[k] * prior_.weights[e] * with_own / cutoff.scale_with);
            }
        }
    }
}

void BinProbabilities::average() {
    for (std::size_t j = 0; j < with_.size(); ++j) {
        with_[j] = 0.0;
        for (std::size_t o = 0; o < n_own_; ++o)
            with_[j] += terms_[j * n_own_ + o];
    }
    mean_with_.assign(n_theta_, 0.0);
    mean_without_.assign(1, 0.0);
    for (std::size_t e = 0; e < n_eta_; ++e) {
        mean_without_[0] += prior_.weights[e] * without_[e];
        for (std::size_t k = 0; k < n_theta_; ++k)
            mean_with_[k] += prior_.weights[e] * with_[k * n_eta_ + e];
    }
}

class HybridEnumeration {
  public:
    HybridEnumeration(const Model &model, const Priors &priors, double mu, const Cutoff &cutoff,
                      std::vector<double> &counts, const VisitAveraged &visit)
        : model_(model), priors_(priors), mu_(mu), cutoff_(cutoff), counts_(counts), visit_(visit) {}

    // As Enumeration::from, the probabilities of the counts given as BinProbabilities wants them.
    bool from(std::size_t index, const std::vector<double> &with, const std::vector<double> &without) const {
        if (index == model_.bins.size())
            return visit_(with, without[0]);
        const PooledBin &bin = model_.bins[index];
        const bool last_of_group =
            index + 1 == model_.bins.size() || bin.group < 0 || model_.bins[index + 1].group != bin.group;
        BinProbabilities probabilities(model_, priors_, mu_, index, with, without, cutoff_);
        bool any = false;
        for (double n = 0.0;; n += 1.0) {
            Effort::spend(probabilities.size() / 250);
            if (n == 0.0)
                probabilities.start();
            else
                probabilities.advance(n);
            const double larger = std::max(probabilities.total_with() / cutoff_.scale_with,
                                           probabilities.mean_without()[0] / cutoff_.scale_without);
            if (larger < cutoff_.least) {
                if (n > probabilities.largest_rate())
                    return any;
                any = true;
                continue;
            }
            counts_[index] = n;
            const bool passes = last_of_group
                                    ? from(index + 1, probabilities.mean_with(), probabilities.mean_without())
                                    : from(index + 1, probabilities.with(), probabilities.without());
            any = any || passes;
            if (!passes && model_.monotone[index])
                return any;
        }
    }

  private:
    const Model &model_;
    const Priors &priors_;
    double mu_;
    const Cutoff &cutoff_;
    std::vector<double> &counts_;
    const VisitAveraged &visit_;
};

} // namespace

void for_each_counts_hybrid(const Model &model, const Priors &priors, double mu, const Cutoff &cutoff,
                            std::vector<double> &counts, const VisitAveraged &visit) {
    HybridEnumeration(model, priors, mu, cutoff, counts, visit)
        .from(0, std::vector<double>(priors.signal.nodes.size(), 1.0), {1.0});
}

// -------------------------------------------------------------------------------------- the mean of a weight

namespace {

// Where the nuisance parameters are averaged over priors the rules have many nodes, and one otherwise: the
// best fit at mu.
class MeanOverCounts {
  public:
    MeanOverCounts(const Model &model, double mu, const std::function<double(Fitter &)> &weight);

    double operator()() {
        over_groups(0, std::vector<double>(signal_rule_.nodes.size(), 1.0));
        return sum_;
    }

  private:
    // Over the counts of the bins from `begin` on. `before` is the probability of the other counts at each
    // node of the signal.
    void over_groups(std::size_t begin, const std::vector<double> &before);

    // The bins of one group share the average over the prior of its background.
    struct Span {
        std::size_t end;
        Rule rule; // eta
        const std::vector<double> &before;
    };
    // `products` are [signal][eta].
    void within_group(const Span &group, std::size_t bin, const std::vector<double> &products);
    double probability(std::size_t bin, std::size_t signal_node, double eta, double n) const;
    // At the node of the bin's own signal where it is largest.
    double rate(std::size_t bin, std::size_t signal_node, double eta) const;

    const Model &model_;
    const std::function<double(Fitter &)> &weight_;
    bool hybrid_;
    Truth truth_;
    Rule signal_rule_;
    std::vector<double> signals_; // at the nodes
    std::vector<Rule> own_rules_; // by bin
    Fitter experiment_;
    double sum_ = 0.0;
};

MeanOverCounts::MeanOverCounts(const Model &model, double mu, const std::function<double(Fitter &)> &weight)
    : model_(model), weight_(weight), hybrid_(model.treatment == Treatment::hybrid),
      truth_(conditional_truth(model, mu)), signal_rule_(hybrid_ ? model.priors.signal : single_node),
      experiment_(model) {
    for (const double theta : signal_rule_.nodes)
        signals_.push_back(hybrid_ ? mu * model.signal_scale(theta) : truth_.signal);
    for (std::size_t i = 0; i < model.bins.size(); ++i)
        own_rules_.push_back(hybrid_ ? model.priors.own[i] : Rule{{truth_.own_theta[i]}, {1.0}});
}

double MeanOverCounts::probability(std::size_t index, std::size_t signal_node, double eta, double n) const {
    const PooledBin &bin = model_.bins[index];
    const double signal = signals_[signal_node] * bin.signal;
    const Rule &own = own_rules_[index];
    double sum = 0.0;
    for (std::size_t o = 0; o < own.nodes.size(); ++o)
        sum += own.weights[o] *
               poisson_probability(
                   signal * model_.scale(bin.own_uncertainty, own.nodes[o]) + model_.background(bin, eta), n);
    return sum;
}

double MeanOverCounts::rate(std::size_t index, std::size_t signal_node, double eta) const {
    const PooledBin &bin = model_.bins[index];
    double largest = 0.0;
    for (const double node : own_rules_[index].nodes)
        largest = std::max(largest, model_.scale(bin.own_uncertainty, node));
    return signals_[signal_node] * bin.signal * largest + model_.background(bin, eta);
}

void MeanOverCounts::over_groups(std::size_t begin, const std::vector<double> &before) {
    if (begin == model_.bins.size()) {
        double mean = 0.0;
        for (std::size_t k = 0; k < before.size(); ++k)
            mean += signal_rule_.weights[k] * before[k];
        sum_ += mean * weight_(experiment_);
        return;
    }
    const int group = model_.bins[begin].group;
    const auto g = static_cast<std::size_t>(std::max(group, 0));
    Span span{begin + 1, single_node, before};
    while (group >= 0 && span.end < model_.bins.size() && model_.bins[span.end].group == group)
        ++span.end;
    if (group >= 0)
        span.rule = hybrid_ ? model_.priors.backgrounds[g] : Rule{{truth_.eta[g]}, {1.0}};
    const std::size_t nodes = span.rule.nodes.size();
    std::vector<double> products(before.size() * nodes);
    for (std::size_t k = 0; k < before.size(); ++k)
        for (std::size_t e = 0; e < nodes; ++e)
            products[k * nodes + e] = before[k];
    within_group(span, begin, products);
}

void MeanOverCounts::within_group(const Span &group, std::size_t bin, const std::vector<double> &products) {
    const std::size_t nodes = group.rule.nodes.size();
    if (bin == group.end) {
        std::vector<double> averaged(group.before.size(), 0.0);
        for (std::size_t k = 0; k < averaged.size(); ++k)
            for (std::size_t e = 0; e < nodes; ++e)
                averaged[k] += group.rule.weights[e] * products[k * nodes + e];
        over_groups(bin, averaged);
        return;
    }
    // Up to there probabilities may rise again: nodes have their bulks at different counts.
    double largest_rate = 0.0;
    for (std::size_t k = 0; k < group.before.size(); ++k)
        for (std::size_t e = 0; e < nodes; ++e)
            if (products[k * nodes + e] * group.rule.weights[e] * signal_rule_.weights[k] >= 1e-13)
                largest_rate = std::max(largest_rate, rate(bin, k, group.rule.nodes[e]));
    for (double n = 0.0;; n += 1.0) {
        Effort::ask();
        std::vector<double> next = products;
        double largest = 0.0;
        for (std::size_t k = 0; k < group.before.size(); ++k)
            for (std::size_t e = 0; e < nodes; ++e) {
                double &value = next[k * nodes + e];
                value *= probability(bin, k, group.rule.nodes[e], n);
                largest = std::max(largest, value * group.rule.weights[e] * signal_rule_.weights[k]);
            }
        if (largest < 1e-13) {
            if (n > largest_rate)
                break;
            continue;
        }
        experiment_.outcome.counts[bin] = n;
        within_group(group, bin + 1, next);
    }
}

} // namespace

double mean_over_counts(const Model &model, double mu, const std::function<double(Fitter &)> &weight) {
    return MeanOverCounts(model, mu, weight)();
}

} // namespace na64root::counting
