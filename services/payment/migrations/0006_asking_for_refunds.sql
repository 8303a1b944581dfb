-- Until when somebody may be asking the provider for the refund, so that nobody else does; NULL while nobody is.
ALTER TABLE refunds ADD COLUMN asking_until TEXT;

-- Nobody asks for what was answered, and the claim of another is not cut short.
CREATE TRIGGER refunds_asked BEFORE UPDATE OF asking_until ON refunds
WHEN NEW.asking_until IS NOT NULL
    AND (NEW.status <> 'pending' OR NEW.provider_reference IS NOT NULL OR NEW.asking_until <= OLD.asking_until)
BEGIN
    SELECT RAISE(ABORT, 'the refund is not to be asked for');
END;
