#include "na64root/counting.hpp"

#include <optional>

#include "counting/asymptotics.hpp"
#include "counting/effort.hpp"
#include "counting/fits.hpp"
#include "counting/intervals.hpp"
#include "counting/limits.hpp"
#include "counting/model.hpp"

namespace na64root {

class CountingExperiment::Implementation {
  public:
    Implementation(const CountingModel &counting_model, Treatment treatment)
        : model(counting_model, treatment) {
        if (model.auxiliaries_fluctuate())
            known.emplace(counting_model, Treatment::none);
    }

    counting::Model model;
    std::optional<counting::Model> known; // the same with nuisance parameters fixed, from which limits start
};

CountingExperiment::CountingExperiment(const CountingModel &model, Treatment treatment)
    : implementation_(std::make_unique<Implementation>(model, treatment)) {}
CountingExperiment::~CountingExperiment() = default;
CountingExperiment::CountingExperiment(CountingExperiment &&) noexcept = default;
CountingExperiment &CountingExperiment::operator=(CountingExperiment &&) noexcept = default;

double CountingExperiment::statistic(double mu) const {
    return counting::Fitter(implementation_->model).statistic(mu);
}

ConfidenceLevels CountingExperiment::confidence_levels(double mu) const {
    return counting::confidence_levels(implementation_->model, mu);
}

Estimate CountingExperiment::cls(double mu) const {
    const counting::Model &model = implementation_->model;
    const double value = counting::confidence_levels(model, mu).cls;
    const double finer = counting::confidence_levels(model, mu, counting::Accuracy::fine).cls;
    return {value, std::abs(finer - value) + counting::tie_tolerance * value};
}

Estimate CountingExperiment::upper_limit(double cl, Criterion criterion, std::uint64_t most_fits) const {
    const counting::Effort effort(most_fits);
    const auto &known = implementation_->known;
    return counting::upper_limit(implementation_->model, known ? &*known : nullptr, cl, criterion);
}

ExpectedLimits CountingExperiment::expected_limits(double cl, Criterion criterion,
                                                   std::uint64_t most_fits) const {
    const counting::Effort effort(most_fits);
    return counting::expected_limits(implementation_->model, cl, criterion);
}

Discovery CountingExperiment::discovery() const {
    return counting::discovery(implementation_->model);
}

double CountingExperiment::two_sided_p_value(double mu) const {
    return counting::two_sided_p_value(implementation_->model, mu);
}

Interval CountingExperiment::interval(double cl) const {
    return counting::interval(implementation_->model, cl);
}

ConfidenceLevels CountingExperiment::asymptotic_confidence_levels(double mu) const {
    return counting::asymptotic_confidence_levels(implementation_->model, mu);
}

Estimate CountingExperiment::asymptotic_upper_limit(double cl, Criterion criterion) const {
    return counting::asymptotic_upper_limit(implementation_->model, cl, criterion);
}

ExpectedLimits CountingExperiment::asymptotic_expected_limits(double cl, Criterion criterion) const {
    return counting::asymptotic_expected_limits(implementation_->model, cl, criterion);
}

} // namespace na64root
