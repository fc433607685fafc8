#include "counting/model.hpp"

#include <map>
#include <numeric>
#include <stdexcept>

namespace na64root::counting {
namespace {

void check(const CountingModel &model) {
    const auto valid = [](double x) { return std::isfinite(x) && x >= 0.0; };
    if (model.bins.empty())
        throw std::domain_error("a counting model needs at least one bin");
    if (!valid(model.signal_uncertainty))
        throw std::domain_error("the signal uncertainty must be finite and not negative");
    if (model.signal_constraint == Constraint::gamma)
        throw std::domain_error("the signal uncertainty is gaussian or lognormal");
    for (const auto &bin : model.bins) {
        if (bin.group < 0)
            throw std::domain_error("groups of bins are counted from 0");
        if (!valid(bin.observed) || !valid(bin.background) || !valid(bin.background_uncertainty) ||
            !valid(bin.signal_fraction) || !valid(bin.signal_uncertainty))
            throw std::domain_error(
                "counts, backgrounds, uncertainties and signal must be finite, not negative");
        if (bin.background_uncertainty > 0.0 && bin.background == 0.0 &&
            model.background_constraint != Constraint::gaussian)
            throw std::domain_error("a background of zero with an uncertainty needs the gaussian constraint");
        if (bin.signal_uncertainty > 0.0 && bin.background_uncertainty > 0.0 &&
            model.background_constraint == Constraint::gamma)
            throw std::domain_error(
                "signal uncertainties of single bins need gaussian or lognormal backgrounds");
    }
}

bool proportional(const PooledBin &a, const PooledBin &b) {
    const auto equal = [](double x, double y) {
        return std::abs(x - y) <= 1e-12 * std::max(std::abs(x), std::abs(y));
    };
    return a.group == b.group && a.own_uncertainty == 0.0 && b.own_uncertainty == 0.0 &&
           equal(a.signal * b.background, b.signal * a.background) &&
           equal(a.signal * b.uncertainty, b.signal * a.uncertainty) &&
           equal(a.background * b.uncertainty, b.background * a.uncertainty);
}

// A bin without signal tells something only of a background that a bin with signal shares: everything else of
// it drops out of the ratio of likelihoods, and must not be left to rounding.
bool shares_parameter_with_signal(const PooledBin &bin, const std::vector<CountingBin> &bins) {
    return bin.group != -1 && std::any_of(bins.begin(), bins.end(), [&](const CountingBin &other) {
               return other.group == bin.group && other.signal_fraction > 0.0 &&
                      other.background_uncertainty > 0.0;
           });
}

// Proportional bins of one group are one bin; sorted by group. Throws std::domain_error without any signal.
std::vector<PooledBin> pool(const std::vector<CountingBin> &bins, Treatment treatment) {
    double total_signal = 0.0;
    for (const auto &bin : bins)
        total_signal += bin.signal_fraction;
    if (!(total_signal > 0.0))
        throw std::domain_error("no bin has any signal");
    const bool fixed = treatment == Treatment::none;
    std::vector<PooledBin> pooled;
    for (const auto &bin : bins) {
        PooledBin candidate{bin.observed,
                            bin.background,
                            fixed ? 0.0 : bin.background_uncertainty,
                            bin.signal_fraction / total_signal,
                            fixed ? 0.0 : bin.signal_uncertainty,
                            bin.group};
        if (candidate.signal == 0.0)
            candidate.own_uncertainty = 0.0;
        if (candidate.uncertainty == 0.0)
            candidate.group = -1;
        if (candidate.signal == 0.0 && !shares_parameter_with_signal(candidate, bins))
            continue;
        const auto match = std::find_if(pooled.begin(), pooled.end(), [&](const PooledBin &other) {
            return proportional(other, candidate);
        });
        if (match == pooled.end()) {
            pooled.push_back(candidate);
        } else {
            match->observed += candidate.observed;
            match->background += candidate.background;
            match->uncertainty += candidate.uncertainty;
            match->signal += candidate.signal;
        }
    }
    std::stable_sort(pooled.begin(), pooled.end(),
                     [](const PooledBin &a, const PooledBin &b) { return a.group < b.group; });
    return pooled;
}

// The groups of sorted bins, which are then numbered from 0.
std::vector<Group> collect_groups(std::vector<PooledBin> &bins) {
    std::vector<Group> groups;
    int label = -1;
    for (std::size_t i = 0; i < bins.size(); ++i) {
        PooledBin &bin = bins[i];
        if (bin.group == -1)
            continue;
        if (groups.empty() || bin.group != label)
            groups.emplace_back();
        label = bin.group;
        bin.group = static_cast<int>(groups.size()) - 1;
        Group &group = groups.back();
        group.bins.push_back(i);
        group.uncertainty += bin.uncertainty;
        group.own_sources = group.own_sources || bin.own_uncertainty > 0.0;
    }
    return groups;
}

void set_range(Group &group, const std::vector<PooledBin> &bins, Constraint constraint) {
    const double relative = bins[group.bins[0]].uncertainty / bins[group.bins[0]].background;
    for (const std::size_t i : group.bins) {
        if (constraint == Constraint::gaussian)
            group.lowest = std::max(group.lowest, -bins[i].background / bins[i].uncertainty);
        if (constraint == Constraint::gamma &&
            std::abs(bins[i].uncertainty / bins[i].background - relative) > 1e-9 * relative)
            throw std::domain_error("bins that share a gamma constraint need the same relative uncertainty");
    }
    if (constraint == Constraint::gamma) {
        group.auxiliary_count = 1.0 / (relative * relative);
        group.lowest = 0.0;
    }
}

// In a group the rate of a bin rises with mu when its ratio of signal to uncertainty is at least a
// fraction W/(1+W) of the group's largest, W = sum of n (sigma/rate)^2; q then falls with its count. W is
// largest when the background makes up the rate; two counts in each bin are more than data that matter
// have there.
std::vector<char> monotone_bins(const std::vector<PooledBin> &bins, const std::vector<Group> &groups) {
    std::vector<char> monotone(bins.size(), 1);
    for (const auto &group : groups) {
        double largest = 0.0, weight = 0.0;
        for (const std::size_t i : group.bins) {
            largest = std::max(largest, bins[i].signal / bins[i].uncertainty);
            const double relative = bins[i].uncertainty / std::max(bins[i].background, bins[i].uncertainty);
            weight += 2.0 * relative * relative;
        }
        for (const std::size_t i : group.bins)
            monotone[i] = bins[i].signal / bins[i].uncertainty >= largest * weight / (1.0 + weight) ||
                          group.bins.size() == 1;
    }
    return monotone;
}

Outcome observation(const std::vector<PooledBin> &bins, const std::vector<Group> &groups) {
    Outcome observed;
    for (const auto &bin : bins)
        observed.counts.push_back(bin.observed);
    for (const auto &group : groups)
        observed.background_auxiliaries.push_back(group.auxiliary_count);
    observed.own_auxiliaries.assign(bins.size(), 0.0);
    return observed;
}

// How finely a prior is averaged over: nodes per width of what varies under it.
struct Fineness {
    double nodes, panel;
};
constexpr Fineness usual_fineness{1.0, 4.0}, finer{1.25, 3.0};

// Up to this ratio of a prior's width to those of the Poisson distributions that it averages a rule of Gauss
// has nodes enough; wider ones have panels.
constexpr double widest = 10.0;

// Rules that the priors of a model have in common are made once.
class Rules {
  public:
    const Rule &normal(std::size_t nodes) {
        return made(normal_, nodes, [&] { return normal_rule(nodes); });
    }
    const Rule &uniform(std::size_t nodes) {
        return made(uniform_, nodes, [&] { return uniform_rule(nodes); });
    }

  private:
    using Made = std::map<std::size_t, Rule>;
    template <class Make> static const Rule &made(Made &rules, std::size_t nodes, const Make &make) {
        const auto found = rules.find(nodes);
        return found != rules.end() ? found->second : rules.emplace(nodes, make()).first->second;
    }

    Made normal_, uniform_;
};

// `spread` and `events` are standard deviation and mean of what a prior varies.
double relative_width(double spread, double events) {
    return std::max(1.0, 2.0 * spread / std::sqrt(events + 1.0));
}

std::size_t number(double usual, double relative, Fineness fineness) {
    return static_cast<std::size_t>(usual * relative * fineness.nodes);
}

// A standard normal distribution from `low` on, of rates that are `rate(x)` with a slope.
template <class Rate, class Slope>
Rule graded_normal(double low, const Rate &rate, const Slope &slope, Fineness fineness) {
    constexpr double reach = 8.0;
    return graded_rule(
        std::max(low, -reach), std::max(low, 0.0) + reach, [](double x) { return -0.5 * x * x; },
        [&](double x) { return std::sqrt(rate(x) + 1.0) / slope(x); }, fineness.panel, 1.0);
}

double total_of(const std::vector<double> &counts) {
    return std::accumulate(counts.begin(), counts.end(), 0.0);
}

Rule signal_prior(const Model &model, double uncertainty, double usual, Fineness fineness, Rules &rules) {
    if (uncertainty == 0.0)
        return {{0.0}, {1.0}};
    // About where limits are.
    const double signal = 2.3 + total_of(model.observed.counts);
    const double relative = relative_width(uncertainty * signal, signal);
    const double lowest = model.lowest_theta(uncertainty);
    if (relative > widest) {
        const double most = 2.0 * signal;
        return graded_normal(
            lowest, [&](double x) { return most * model.scale(uncertainty, x); },
            [&](double x) { return most * model.scale_slope(uncertainty, x); }, fineness);
    }
    const std::size_t nodes = number(usual, relative, fineness);
    return model.lognormal_signal() ? rules.normal(nodes)
                                    : truncated_normal_rule(lowest, rules.uniform(nodes + 15));
}

Rule background_prior(const Model &model, const Group &group, Fineness fineness, Rules &rules) {
    double background = 0.0, seen = 0.0;
    for (const std::size_t i : group.bins) {
        background += model.bins[i].background;
        seen += model.observed.counts[i];
    }
    // Rates that are proportional to eta are averaged by narrower distributions where few events are seen.
    const double events = model.lognormal_backgrounds() ? background : std::min(background, seen);
    const double relative = relative_width(group.uncertainty, events);
    const std::size_t nodes = number(20.0, relative, fineness);
    const auto rate = [&](double x) {
        double sum = 0.0;
        for (const std::size_t i : group.bins)
            sum += model.background(model.bins[i], x);
        return sum;
    };
    const auto slope = [&](double x) {
        double sum = 0.0;
        for (const std::size_t i : group.bins)
            sum += model.background_slope(model.bins[i], x);
        return sum;
    };
    if (!model.gamma_backgrounds()) {
        if (relative > widest)
            return graded_normal(group.lowest, rate, slope, fineness);
        return model.lognormal_backgrounds() ? rules.normal(nodes)
                                             : truncated_normal_rule(group.lowest, rules.uniform(nodes + 6));
    }
    // The posterior of the auxiliary count under a flat prior.
    const double count = group.auxiliary_count;
    if (relative > widest) {
        const double deviation = std::sqrt(count + 1.0) / count, reach = 8.0;
        return graded_rule(
            std::max(0.0, 1.0 - reach * deviation), 1.0 + (reach + 16.0 / std::sqrt(count + 1.0)) * deviation,
            [&](double x) { return count * (std::log(std::max(x, 1e-300)) - x); },
            [&](double x) { return std::sqrt(rate(x) + 1.0) / slope(x); }, fineness.panel, deviation);
    }
    Rule rule = gamma_rule(count + 1.0, nodes);
    for (double &node : rule.nodes)
        node /= count;
    return rule;
}

Priors make_priors(const Model &model, Fineness fineness, Rules &rules) {
    Priors priors{signal_prior(model, model.signal_uncertainty, 15.0, fineness, rules), {}, {}};
    for (const auto &bin : model.bins)
        priors.own.push_back(signal_prior(model, bin.own_uncertainty, 12.0, fineness, rules));
    for (const auto &group : model.groups)
        priors.backgrounds.push_back(background_prior(model, group, fineness, rules));
    return priors;
}

} // namespace

Model::Model(const CountingModel &model, Treatment treatment)
    : treatment(treatment), signal_constraint(model.signal_constraint),
      background_constraint(model.background_constraint),
      signal_uncertainty(treatment == Treatment::none ? 0.0 : model.signal_uncertainty) {
    check(model);
    if (lognormal_signal())
        signal_bend = std::log1p(signal_uncertainty);
    bins = pool(model.bins, treatment);
    groups = collect_groups(bins);
    for (auto &group : groups)
        set_range(group, bins, background_constraint);
    for (const auto &bin : bins) {
        own_sources = own_sources || bin.own_uncertainty > 0.0;
        total_signal += bin.signal;
    }
    one_minimum = !own_sources &&
                  !(lognormal_backgrounds() && std::any_of(groups.begin(), groups.end(),
                                                           [](const Group &g) { return g.bins.size() > 1; }));
    monotone = monotone_bins(bins, groups);
    linear = !own_sources && (groups.empty() || gaussian_backgrounds());
    observed = observation(bins, groups);
    // Without anything that varies all treatments are one.
    if (groups.empty() && !own_sources && signal_uncertainty == 0.0)
        this->treatment = Treatment::none;
    if (this->treatment == Treatment::hybrid) {
        Rules rules;
        priors = make_priors(*this, usual_fineness, rules);
        finer_priors = make_priors(*this, finer, rules);
    }
}

double Model::auxiliary_mean(const Truth &truth, const Coordinate &coordinate) const {
    switch (coordinate.kind) {
    case Coordinate::Kind::own_signal:
        return truth.own_theta[coordinate.index];
    case Coordinate::Kind::signal:
        return truth.theta;
    case Coordinate::Kind::background:
        break;
    }
    const double eta = truth.eta[coordinate.index];
    return gamma_backgrounds() ? eta * groups[coordinate.index].auxiliary_count : eta;
}

void Model::find_background_coordinates(const std::vector<double> &counts,
                                        std::vector<Coordinate> &coordinates) const {
    coordinates.clear();
    if (treatment != Treatment::frequentist)
        return;
    for (std::size_t g = 0; g < groups.size(); ++g)
        if (std::any_of(groups[g].bins.begin(), groups[g].bins.end(),
                        [&](std::size_t i) { return counts[i] > 0.0; }))
            coordinates.push_back({Coordinate::Kind::background, g});
}

void Model::find_coordinates(const std::vector<double> &counts, std::vector<Coordinate> &coordinates) const {
    find_background_coordinates(counts, coordinates);
    if (treatment != Treatment::frequentist)
        return;
    if (signal_varies())
        coordinates.push_back({Coordinate::Kind::signal});
    for (std::size_t i = 0; own_sources && i < bins.size(); ++i)
        if (bins[i].own_uncertainty > 0.0)
            coordinates.push_back({Coordinate::Kind::own_signal, i});
}

} // namespace na64root::counting
